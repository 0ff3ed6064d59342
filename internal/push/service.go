package push

import (
	"errors"
	"io"
	"strings"
	"time"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// retryInterval is how long what was refused stays so before it is tried again,
// if nothing changes.
const retryInterval = 30 * time.Second

// service is the gRPC face of a Server.
type service struct {
	discoveryv3.UnimplementedAggregatedDiscoveryServiceServer
	server   *Server
	stopping <-chan struct{}
}

type deltaStream = discoveryv3.AggregatedDiscoveryService_DeltaAggregatedResourcesServer

// DeltaAggregatedResources serves one proxy until it goes.
func (s service) DeltaAggregatedResources(g deltaStream) error {
	first, err := g.Recv()
	if err != nil {
		return err
	}
	name := first.GetNode().GetId()
	if err := s.admit(g, name); err != nil {
		return err
	}
	st := s.server.join(name, first)
	defer s.server.leave(name, st)
	return s.run(g, name, st)
}

// admit returns an error for a proxy that may not have the node.
func (s service) admit(g deltaStream, name string) error {
	if name == "" {
		return status.Error(codes.InvalidArgument, "the first message names no node")
	}
	authorize := s.server.options.Authorize
	if authorize == nil {
		return nil
	}
	if err := authorize(g.Context(), bearer(g), name); err != nil {
		s.server.options.Logger.Warn("Proxy was refused", "node", name, "reason", err)
		return status.Error(codes.PermissionDenied, err.Error())
	}
	return nil
}

// run sends and receives.
func (s service) run(g deltaStream, name string, st *stream) error {
	answers, ended := receive(g)
	var retry <-chan time.Time
	for {
		if response := s.server.next(name, st); response != nil {
			if err := g.Send(response); err != nil {
				return err
			}
		}
		select {
		case <-retry:
			retry = nil
			s.server.retry(st)
		case <-st.wake:
		case answer := <-answers:
			s.server.settle(name, st, answer)
			if answer.GetErrorDetail() != nil {
				retry = time.After(retryInterval)
			}
		case err := <-ended:
			return err
		case <-s.stopping:
			return status.Error(codes.Unavailable, "the controller is stopping")
		}
	}
}

// receive has a goroutine receive, which ends with the stream: with nil if the
// proxy ended it.
func receive(g deltaStream) (<-chan *discoveryv3.DeltaDiscoveryRequest, <-chan error) {
	answers := make(chan *discoveryv3.DeltaDiscoveryRequest)
	ended := make(chan error, 1)
	go func() { ended <- forward(g, answers) }()
	return answers, ended
}

func forward(g deltaStream, answers chan<- *discoveryv3.DeltaDiscoveryRequest) error {
	for {
		answer, err := g.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		select {
		case answers <- answer:
		case <-g.Context().Done():
			return g.Context().Err()
		}
	}
}

func bearer(g deltaStream) string {
	md, _ := metadata.FromIncomingContext(g.Context())
	for _, v := range md.Get(tokenHeader) {
		if token, ok := strings.CutPrefix(v, tokenPrefix); ok {
			return token
		}
	}
	return ""
}

package push

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"math/rand/v2"
	"time"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"

	"github.com/citoroute/citoroute/internal/ir"
)

// Back-off between attempts to connect, doubled up to the maximum, each with
// jitter so that a fleet does not come back all at once.
const (
	minBackoff = 100 * time.Millisecond
	maxBackoff = 5 * time.Second
)

// Sink takes configuration in.
type Sink interface {
	// Apply makes u live, wholly or not at all. The first update of a client
	// that has nothing is complete. An update may be empty: the sink is told
	// once per stream that what it has is current. An error is sent back as the
	// reason; an [ir.ResourceError] in it says what to leave out.
	Apply(u ir.Update) error
}

// Client follows the configuration of one node. Set the exported fields, then
// call Run once.
type Client struct {
	// Node is whose configuration is asked for.
	Node string
	// Proxy names this proxy in the controller's log; Version is its build.
	Proxy, Version string
	// Servers are host:port addresses; any one serves. At least one.
	Servers []string
	// Credentials and Token are asked again for every connection, so that a
	// rotated bundle or token is read: see [FileCredentials] and [FileToken].
	// A nil Token sends none.
	Credentials func() (credentials.TransportCredentials, error)
	Token       func() (string, error)
	Sink        Sink
	// Have is what the sink already serves, from a kept snapshot: only the
	// difference is sent.
	Have []ir.Resource
	// Connected is told when a stream has brought its first answer, and when it
	// has ended; nil: nobody is told.
	Connected func(up bool)
	// Logger gets a line per connection and rejection; nil: none.
	Logger *slog.Logger
	// DialOptions are added to those of every connection.
	DialOptions []grpc.DialOption

	have map[string]string
	// begun says that the sink has taken an update, or something from before.
	begun bool
}

// Run connects, applies and acknowledges until ctx is done, and connects again
// with back-off whenever a stream ends. It returns the context's error, or at
// once an error in the client's fields.
func (c *Client) Run(ctx context.Context) error {
	if err := c.begin(); err != nil {
		return err
	}
	order := rand.Perm(len(c.Servers))
	backoff := minBackoff
	for attempt := 0; ; attempt++ {
		server := c.Servers[order[attempt%len(order)]]
		served, err := c.follow(ctx, server)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if served {
			backoff = minBackoff
		}
		c.Logger.Warn("Config stream ended", "server", server, "reason", err, "retryIn", backoff)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(backoff/2 + rand.N(backoff/2)):
		}
		backoff = min(2*backoff, maxBackoff)
	}
}

// begin checks the fields and fills in those that may be left out.
func (c *Client) begin() error {
	if len(c.Servers) == 0 || c.Credentials == nil || c.Sink == nil {
		return errors.New("push client: Servers, Credentials and Sink are required")
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Connected == nil {
		c.Connected = func(bool) {}
	}
	return c.remember()
}

// remember notes the versions of what the sink already serves.
func (c *Client) remember() error {
	c.have = make(map[string]string, len(c.Have))
	for _, r := range c.Have {
		encoded, err := encode(r)
		if err != nil {
			return fmt.Errorf("push client: %w", err)
		}
		c.have[encoded.GetName()] = encoded.GetVersion()
	}
	c.begun = len(c.Have) > 0
	c.Have = nil
	return nil
}

type clientStream = discoveryv3.AggregatedDiscoveryService_DeltaAggregatedResourcesClient

// follow serves one stream until it ends and says whether it got a response.
func (c *Client) follow(ctx context.Context, server string) (served bool, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	conn, err := c.dial(server)
	if err != nil {
		return false, err
	}
	defer func() { _ = conn.Close() }()
	st, err := c.open(ctx, conn)
	if err != nil {
		return false, err
	}
	defer c.Connected(false)
	return c.serve(st, server)
}

// dial prepares a connection, which is made once it is used.
func (c *Client) dial(server string) (*grpc.ClientConn, error) {
	creds, err := c.Credentials()
	if err != nil {
		return nil, err
	}
	conn, err := grpc.NewClient(server, append([]grpc.DialOption{
		grpc.WithTransportCredentials(creds),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(math.MaxInt32)),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 20 * time.Second, Timeout: 10 * time.Second}),
	}, c.DialOptions...)...)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", server, err)
	}
	return conn, nil
}

// open begins a stream and says what there is already.
func (c *Client) open(ctx context.Context, conn *grpc.ClientConn) (clientStream, error) {
	if c.Token != nil {
		token, err := c.Token()
		if err != nil {
			return nil, err
		}
		ctx = metadata.AppendToOutgoingContext(ctx, tokenHeader, tokenPrefix+token)
	}
	st, err := discoveryv3.NewAggregatedDiscoveryServiceClient(conn).DeltaAggregatedResources(ctx)
	if err != nil {
		return nil, err
	}
	return st, send(st, hello(c.Node, c.Proxy, c.Version, c.have))
}

// serve takes in what a stream brings until it ends.
func (c *Client) serve(st clientStream, server string) (served bool, err error) {
	for {
		response, err := st.Recv()
		if err != nil {
			return served, err
		}
		if !served {
			served = true
			c.Connected(true)
			c.Logger.Info("Config stream is up", "server", server, "node", c.Node)
		}
		if err := send(st, c.take(response)); err != nil {
			return served, err
		}
	}
}

// send returns no error that only says that the stream is over: Recv has the
// reason.
func send(st clientStream, request *discoveryv3.DeltaDiscoveryRequest) error {
	if err := st.Send(request); !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}

// take applies a response and returns the answer to it.
func (c *Client) take(response *discoveryv3.DeltaDiscoveryResponse) *discoveryv3.DeltaDiscoveryRequest {
	answer := &discoveryv3.DeltaDiscoveryRequest{TypeUrl: configType, ResponseNonce: response.GetNonce()}
	if err := c.apply(response); err != nil {
		c.Logger.Error("Configuration was rejected", "reason", err)
		answer.ErrorDetail = rejection(err)
		c.doubt(response)
	}
	return answer
}

// apply makes a response live and notes its versions.
func (c *Client) apply(response *discoveryv3.DeltaDiscoveryResponse) error {
	u, err := decode(response, !c.begun)
	if err != nil {
		return err
	}
	if err := c.Sink.Apply(u); err != nil {
		return err
	}
	c.begun = true
	for _, r := range response.GetResources() {
		c.have[r.GetName()] = r.GetVersion()
	}
	for _, name := range response.GetRemovedResources() {
		delete(c.have, name)
	}
	return nil
}

// doubt notes that what came in a refused response may be there or not.
func (c *Client) doubt(response *discoveryv3.DeltaDiscoveryResponse) {
	for _, r := range response.GetResources() {
		c.have[r.GetName()] = unsure
	}
}

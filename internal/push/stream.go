package push

import (
	"log/slog"
	"maps"
	"slices"
	"strconv"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	rpcstatus "google.golang.org/genproto/googleapis/rpc/status"
)

// stream is one connected proxy. Its fields are guarded by the server's mutex.
type stream struct {
	node *node
	log  *slog.Logger
	// has maps names to the versions that the proxy serves.
	has map[string]string
	// dirty are the names whose version here may differ from has.
	dirty map[string]struct{}
	// sent is the response in flight, removed resources with version "". One at
	// a time: what changes meanwhile joins the next.
	sent        map[string]string
	inFlight    bool
	sentVersion uint64
	nonce       uint64
	// stale says that there is something to send: the first response, which may
	// be empty, or a change. After a nack there is nothing until a change.
	stale bool
	// barred maps names to the versions that the proxy refused: they are left
	// out, so that one bad resource does not hold back all others.
	barred map[string]string

	acked        bool
	ackedVersion uint64
	rejected     string
	wake         chan struct{}
}

// join adds a stream to a node.
func (s *Server) join(name string, first *discoveryv3.DeltaDiscoveryRequest) *stream {
	st := newStream(first, s.options.Logger.With("node", name, "proxy", first.GetNode().GetUserAgentName()))
	st.log.Info("Proxy connected", "has", len(first.GetInitialResourceVersions()), "version", first.GetNode().GetUserAgentVersion())
	s.mu.Lock()
	n := s.node(name)
	st.follow(n)
	s.release(name, n)
	return st
}

func newStream(first *discoveryv3.DeltaDiscoveryRequest, log *slog.Logger) *stream {
	st := &stream{
		log:    log,
		has:    first.GetInitialResourceVersions(),
		dirty:  map[string]struct{}{},
		barred: map[string]string{},
		stale:  true,
		wake:   make(chan struct{}, 1),
	}
	if st.has == nil {
		st.has = map[string]string{}
	}
	return st
}

// follow adds st to n. Everything that the node or the proxy has may differ.
func (st *stream) follow(n *node) {
	st.node = n
	n.streams[st] = struct{}{}
	for resource := range n.resources {
		st.dirty[resource] = struct{}{}
	}
	for resource := range st.has {
		st.dirty[resource] = struct{}{}
	}
}

func (s *Server) leave(name string, st *stream) {
	s.mu.Lock()
	delete(st.node.streams, st)
	if !st.node.known && len(st.node.streams) == 0 {
		delete(s.nodes, name)
	}
	s.release(name, st.node)
	st.log.Info("Proxy disconnected")
}

// next returns the response to send to a proxy now, or nil.
func (s *Server) next(name string, st *stream) *discoveryv3.DeltaDiscoveryResponse {
	s.mu.Lock()
	if st.inFlight || !st.stale || !st.node.known {
		s.mu.Unlock()
		return nil
	}
	defer s.release(name, st.node)
	return st.difference()
}

// difference returns what takes the proxy from what it has to the node's
// configuration. It is nil where they turned out to be the same; only the
// first response may be empty, for the proxy waits for it.
func (st *stream) difference() *discoveryv3.DeltaDiscoveryResponse {
	st.stale = false
	response := st.changes()
	st.sentVersion = st.node.version
	if len(st.sent) == 0 && st.acked {
		st.accept()
		return nil
	}
	st.nonce++
	response.Nonce = strconv.FormatUint(st.nonce, 10)
	response.SystemVersionInfo = strconv.FormatUint(st.sentVersion, 10)
	st.inFlight = true
	return response
}

// changes moves what differs from dirty to sent, in the order of dependency
// and, for what is removed, against it.
func (st *stream) changes() *discoveryv3.DeltaDiscoveryResponse {
	response := &discoveryv3.DeltaDiscoveryResponse{TypeUrl: configType}
	st.sent = make(map[string]string, len(st.dirty))
	for _, name := range slices.SortedFunc(maps.Keys(st.dirty), byDependency) {
		resource, has := st.node.resources[name], st.has[name]
		switch {
		case resource != nil && resource.GetVersion() != has && resource.GetVersion() != st.barred[name]:
			response.Resources = append(response.Resources, resource)
			st.sent[name] = resource.GetVersion()
		case resource == nil && has != "":
			response.RemovedResources = append(response.RemovedResources, name)
			st.sent[name] = ""
		}
	}
	clear(st.dirty)
	slices.Reverse(response.RemovedResources)
	return response
}

// retry sends again what a proxy refused, which may have been for a reason that
// has passed.
func (s *Server) retry(st *stream) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if st.rejected != "" {
		st.retry()
	}
}

// settle takes in the answer to the response in flight.
func (s *Server) settle(name string, st *stream, answer *discoveryv3.DeltaDiscoveryRequest) {
	s.mu.Lock()
	if !st.inFlight || answer.GetResponseNonce() != strconv.FormatUint(st.nonce, 10) {
		s.mu.Unlock()
		return
	}
	st.settle(answer.GetErrorDetail())
	s.release(name, st.node)
	if detail := answer.GetErrorDetail(); detail != nil {
		st.log.Error("Proxy rejected configuration", "reason", detail.GetMessage())
	}
}

func (st *stream) settle(detail *rpcstatus.Status) {
	st.inFlight = false
	if detail != nil {
		st.refuse(detail.GetMessage(), culprits(detail))
	} else {
		st.accept()
	}
	st.sent = nil
}

func (st *stream) accept() {
	for name, version := range st.sent {
		if version == "" {
			delete(st.has, name)
		} else {
			st.has[name] = version
		}
	}
	st.acked, st.ackedVersion = true, st.sentVersion
	if len(st.barred) == 0 {
		st.rejected = ""
	}
}

// refuse puts what was sent back. Named resources are left out from now on and
// the rest is sent again at once; else the next change, or time, starts another attempt.
func (st *stream) refuse(reason string, resources []string) {
	st.rejected = reason
	for name, version := range st.sent {
		st.dirty[name] = struct{}{}
		if version != "" {
			st.has[name] = unsure
		}
	}
	for _, name := range resources {
		if version := st.sent[name]; version != "" {
			st.barred[name] = version
			st.stale = true
		}
	}
}

// retry has what was refused sent again.
func (st *stream) retry() {
	st.stale = true
	for name := range st.barred {
		st.dirty[name] = struct{}{}
	}
	clear(st.barred)
}

// touch notes that a resource changed. What was refused is tried again: it may
// have been refused only for want of what changed now.
func (st *stream) touch(name string) {
	st.dirty[name] = struct{}{}
	st.retry()
}

// notify wakes the stream's sender.
func (st *stream) notify() {
	select {
	case st.wake <- struct{}{}:
	default:
	}
}

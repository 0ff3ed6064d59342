package push

import (
	"log/slog"
	"strconv"
	"time"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	rpcstatus "google.golang.org/genproto/googleapis/rpc/status"
)

// stream is one connected proxy. Its fields are guarded by the server's mutex.
type stream struct {
	node *node
	log  *slog.Logger
	// differs maps the names of resources of which the proxy does not, or may
	// not, have the node's version to the version that it has: "" for none.
	differs map[string]string
	// sent is the response in flight, removed resources with version "". One at
	// a time: what changes meanwhile joins the next.
	sent        map[string]string
	inFlight    bool
	sentAt      time.Time
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
	st := newStream(s.options.Logger.With("node", name, "proxy", first.GetNode().GetUserAgentName()))
	st.log.Info("Proxy connected", "has", len(first.GetInitialResourceVersions()), "version", first.GetNode().GetUserAgentVersion())
	s.mu.Lock()
	n := s.node(name)
	st.follow(n, first.GetInitialResourceVersions())
	s.release(name, n)
	return st
}

func newStream(log *slog.Logger) *stream {
	return &stream{log: log, differs: map[string]string{}, barred: map[string]string{}, stale: true, wake: make(chan struct{}, 1)}
}

// follow adds st, whose proxy has resources of the given versions, to n.
func (st *stream) follow(n *node, has map[string]string) {
	st.node = n
	n.streams[st] = struct{}{}
	for name, r := range n.resources.all() {
		if has[name] != r.GetVersion() {
			st.differs[name] = has[name]
		}
	}
	for name, version := range has {
		if n.resources.get(name) == nil {
			st.differs[name] = version
		}
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
	response := st.difference(s.options.Now())
	s.release(name, st.node)
	sortResponse(response) // a whole configuration takes a while, and others wait for the lock
	return response
}

// difference returns what takes the proxy from what it has to the node's
// configuration. It is nil where they turned out to be the same; only the
// first response may be empty, for the proxy waits for it.
func (st *stream) difference(now time.Time) *discoveryv3.DeltaDiscoveryResponse {
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
	st.inFlight, st.sentAt = true, now
	return response
}

// changes returns what differs, in no order, and notes it as sent.
func (st *stream) changes() *discoveryv3.DeltaDiscoveryResponse {
	response := &discoveryv3.DeltaDiscoveryResponse{TypeUrl: configType}
	st.sent = make(map[string]string, len(st.differs))
	for name, has := range st.differs {
		resource := st.node.resources.get(name)
		switch version := resource.GetVersion(); {
		case version == has:
			delete(st.differs, name)
		case resource == nil:
			response.RemovedResources = append(response.RemovedResources, name)
			st.sent[name] = ""
		case version != st.barred[name]:
			response.Resources = append(response.Resources, resource)
			st.sent[name] = version
		}
	}
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
		if version == st.node.resources.get(name).GetVersion() {
			delete(st.differs, name)
		} else {
			st.differs[name] = version // it changed meanwhile
		}
	}
	if len(st.differs) == 0 {
		st.differs = map[string]string{} // an emptied map keeps its size
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
		if version != "" {
			st.differs[name] = unsure
		}
	}
	for _, name := range resources {
		version := st.sent[name]
		if version == "" {
			continue
		}
		st.stale = true
		if version == st.node.resources.get(name).GetVersion() { // else it was mended meanwhile
			st.barred[name] = version
		}
	}
}

// retry has what was refused sent again.
func (st *stream) retry() {
	st.stale = true
	clear(st.barred)
}

// touch notes that a resource changed, and its version before. What was refused
// is tried again: it may have been refused only for want of what changed now.
func (st *stream) touch(name, before string) {
	if _, known := st.differs[name]; !known {
		st.differs[name] = before
	}
	st.retry()
}

// notify wakes the stream's sender.
func (st *stream) notify() {
	select {
	case st.wake <- struct{}{}:
	default:
	}
}

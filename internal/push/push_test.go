package push

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/test/bufconn"

	"github.com/citoroute/citoroute/internal/ir"
)

const (
	testNode = "gateway/default/web"
	deadline = 10 * time.Second
)

// epoch is the time in all tests.
func epoch() time.Time { return time.Time{} }

// recorder is a Sink that keeps what it is given, as a proxy would.
type recorder struct {
	mu      sync.Mutex
	applied []ir.Update
	current map[ir.Ref]ir.Resource
	// refuse decides over each update; hold blocks Apply while it is set.
	refuse func(ir.Update) error
	hold   chan struct{}
	signal chan struct{}
}

func newRecorder() *recorder {
	return &recorder{current: map[ir.Ref]ir.Resource{}, signal: make(chan struct{}, 1)}
}

func (r *recorder) Apply(u ir.Update) error {
	if r.hold != nil {
		<-r.hold
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	defer func() {
		select {
		case r.signal <- struct{}{}:
		default:
		}
	}()
	if r.refuse != nil {
		if err := r.refuse(u); err != nil {
			return err
		}
	}
	r.applied = append(r.applied, u)
	if u.Complete {
		clear(r.current)
	}
	for _, in := range u.Upserts {
		r.current[ir.RefOf(in)] = in
	}
	for _, ref := range u.Removed {
		delete(r.current, ref)
	}
	return nil
}

// names returns the names of what is served.
func (r *recorder) names() map[string]bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := map[string]bool{}
	for ref := range r.current {
		out[nameOf(ref)] = true
	}
	return out
}

func (r *recorder) updates() []ir.Update {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]ir.Update(nil), r.applied...)
}

// bed is a server on an in-memory listener.
type bed struct {
	t       *testing.T
	server  *Server
	changed chan struct{}
	stop    context.CancelFunc

	mu       sync.Mutex
	listener *bufconn.Listener
}

func newBed(t *testing.T, authorize func(context.Context, string, string) error) *bed {
	t.Helper()
	b := &bed{t: t, changed: make(chan struct{}, 1)}
	b.server = NewServer(ServerOptions{Authorize: authorize, Now: epoch, Changed: func(string) {
		select {
		case b.changed <- struct{}{}:
		default:
		}
	}})
	b.serve()
	return b
}

// serve starts serving the bed's server on a new listener.
func (b *bed) serve() {
	l := bufconn.Listen(1 << 20)
	ctx, stop := context.WithCancel(b.t.Context())
	done := make(chan error, 1)
	go func() { done <- b.server.Serve(ctx, l) }()
	b.mu.Lock()
	b.listener = l
	b.mu.Unlock()
	b.stop = func() {
		stop()
		if err := <-done; err != nil {
			b.t.Errorf("Serve: %v", err)
		}
	}
	b.t.Cleanup(stop)
}

// dial reaches the listener of the latest serve.
func (b *bed) dial(ctx context.Context, _ string) (net.Conn, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.listener.DialContext(ctx)
}

// connect runs a client and returns what stops it.
func (b *bed) connect(sink Sink, have ...ir.Resource) context.CancelFunc {
	b.t.Helper()
	c := &Client{
		Node: testNode, Proxy: b.t.Name(), Servers: []string{"passthrough:///controller"}, Sink: sink, Have: have,
		Credentials: func() (credentials.TransportCredentials, error) { return insecure.NewCredentials(), nil },
		Token:       func() (string, error) { return "token", nil },
		DialOptions: []grpc.DialOption{grpc.WithContextDialer(b.dial)},
	}
	ctx, cancel := context.WithCancel(b.t.Context())
	go func() { _ = c.Run(ctx) }()
	return cancel
}

func (b *bed) update(u ir.Update) {
	b.t.Helper()
	if err := b.server.Update(testNode, u); err != nil {
		b.t.Fatal(err)
	}
}

// until waits for ok to hold, looking again whenever signal says so.
func until(t *testing.T, signal <-chan struct{}, what string, ok func() bool) {
	t.Helper()
	end := time.After(deadline)
	for !ok() {
		select {
		case <-signal:
		case <-end:
			t.Fatalf("timed out: %s", what)
		}
	}
}

func route(name string, status int) *ir.Route {
	return &ir.Route{Name: name, Listener: "l", Rules: []ir.Rule{{Direct: &ir.Direct{Status: status}}}}
}

func listener(name string, port uint16) *ir.Listener {
	return &ir.Listener{Name: name, Port: port, Protocol: ir.ProtocolHTTP}
}

func TestStream_SendsOnlyWhatChanged(t *testing.T) {
	b := newBed(t, nil)
	b.update(ir.Update{Complete: true, Upserts: []ir.Resource{route("a", 200), listener("l", 80), route("b", 200)}})
	sink := newRecorder()
	b.connect(sink)
	until(t, b.changed, "the first configuration is served", func() bool { return b.server.State(testNode).Serving })

	b.update(ir.Update{Upserts: []ir.Resource{route("a", 404), route("b", 200)}})
	until(t, sink.signal, "the second update", func() bool { return len(sink.updates()) == 2 })
	b.update(ir.Update{Removed: []ir.Ref{{Type: ir.TypeRoute, Name: "b"}}})
	until(t, sink.signal, "the third update", func() bool { return len(sink.updates()) == 3 })

	want := []ir.Update{
		{Complete: true, Upserts: []ir.Resource{listener("l", 80), route("a", 200), route("b", 200)}},
		{Upserts: []ir.Resource{route("a", 404)}},
		{Removed: []ir.Ref{{Type: ir.TypeRoute, Name: "b"}}},
	}
	if diff := cmp.Diff(want, sink.updates()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestStream_OrdersByDependency(t *testing.T) {
	b := newBed(t, nil)
	b.update(ir.Update{Complete: true, Upserts: []ir.Resource{
		route("r", 200), listener("l", 80), &ir.Backend{Name: "b"}, &ir.Endpoints{Name: "e"}, &ir.Policy{Name: "p"}, &ir.Secret{Name: "s"},
	}})
	sink := newRecorder()
	b.connect(sink)
	until(t, sink.signal, "the first update", func() bool { return len(sink.updates()) == 1 })
	b.update(ir.Update{Complete: true})
	until(t, sink.signal, "the removal", func() bool { return len(sink.updates()) == 2 })

	var added, removed []ir.Type
	for _, r := range sink.updates()[0].Upserts {
		added = append(added, r.ResourceType())
	}
	for _, ref := range sink.updates()[1].Removed {
		removed = append([]ir.Type{ref.Type}, removed...)
	}
	if diff := cmp.Diff(ir.Types(), added); diff != "" {
		t.Errorf("additions: -want +got:\n%s", diff)
	}
	if diff := cmp.Diff(ir.Types(), removed); diff != "" {
		t.Errorf("removals, reversed: -want +got:\n%s", diff)
	}
}

func TestStream_NackKeepsTheRestFlowing(t *testing.T) {
	b := newBed(t, nil)
	sink := newRecorder()
	sink.refuse = func(u ir.Update) error {
		for _, r := range u.Upserts {
			if in, ok := r.(*ir.Route); ok && in.Rules[0].Direct.Status == 999 {
				return fmt.Errorf("apply: %w", &ir.ResourceError{Resource: ir.RefOf(r), Err: errors.New("no such status")})
			}
		}
		return nil
	}
	b.update(ir.Update{Complete: true, Upserts: []ir.Resource{listener("l", 80), route("good", 200), route("bad", 999)}})
	b.connect(sink)
	until(t, b.changed, "the good part is served", func() bool { return b.server.State(testNode).Serving })
	if diff := cmp.Diff(map[string]bool{"listener/l": true, "route/good": true}, sink.names()); diff != "" {
		t.Errorf("served after the nack: -want +got:\n%s", diff)
	}
	if got := b.server.State(testNode).Rejected; !strings.Contains(got, "route bad: no such status") {
		t.Errorf("State.Rejected = %q, want the resource and the reason", got)
	}

	b.update(ir.Update{Upserts: []ir.Resource{route("bad", 201)}})
	until(t, b.changed, "the mended route recovers", func() bool { return b.server.State(testNode).Rejected == "" })
	if !sink.names()["route/bad"] {
		t.Error("the mended route is not served")
	}
}

func TestStream_RemovesWhatWasRefused(t *testing.T) {
	b := newBed(t, nil)
	sink := newRecorder()
	// As a proxy that could not bind two of its sockets: the update is live, but
	// both listeners are reported.
	sink.refuse = func(u ir.Update) error {
		var errs []error
		for _, r := range u.Upserts {
			if l, ok := r.(*ir.Listener); ok && l.Port < 80 {
				errs = append(errs, &ir.ResourceError{Resource: ir.RefOf(l), Err: errors.New("address in use")})
			}
		}
		return errors.Join(errs...)
	}
	b.update(ir.Update{Complete: true, Upserts: []ir.Resource{listener("a", 1), listener("b", 2), listener("c", 80)}})
	b.connect(sink)
	until(t, b.changed, "the rest is served", func() bool { return b.server.State(testNode).Serving })
	if diff := cmp.Diff(map[string]bool{"listener/c": true}, sink.names()); diff != "" {
		t.Errorf("served after the nack: -want +got:\n%s", diff)
	}
	b.update(ir.Update{Removed: []ir.Ref{{Type: ir.TypeListener, Name: "a"}, {Type: ir.TypeListener, Name: "b"}}})
	until(t, sink.signal, "the removal", func() bool { return len(sink.updates()) == 2 })
	want := ir.Update{Removed: []ir.Ref{{Type: ir.TypeListener, Name: "b"}, {Type: ir.TypeListener, Name: "a"}}}
	if diff := cmp.Diff(want, sink.updates()[1]); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	until(t, b.changed, "nothing is refused", func() bool { return b.server.State(testNode).Rejected == "" })
}

func TestServer_TriesAgainWhatWasRefused(t *testing.T) {
	s := NewServer(ServerOptions{Now: epoch})
	if err := s.Update(testNode, ir.Update{Complete: true, Upserts: []ir.Resource{listener("l", 1), route("r", 200)}}); err != nil {
		t.Fatal(err)
	}
	st := s.join(testNode, hello(testNode, "proxy", "", nil))
	sent := func() (names []string) {
		for _, r := range s.next(testNode, st).GetResources() {
			names = append(names, r.GetName())
		}
		return names
	}
	answer := func(err error) {
		a := &discoveryv3.DeltaDiscoveryRequest{ResponseNonce: fmt.Sprint(st.nonce)}
		if err != nil {
			a.ErrorDetail = rejection(err)
		}
		s.settle(testNode, st, a)
	}
	steps := []struct {
		do   func()
		want []string
	}{
		{func() {}, []string{"listener/l", "route/r"}},
		{func() {
			answer(&ir.ResourceError{Resource: ir.Ref{Type: ir.TypeListener, Name: "l"}, Err: errors.New("in use")})
		}, []string{"route/r"}},
		{func() { answer(nil) }, nil},
		{func() { s.retry(st) }, []string{"listener/l"}},
		{func() { answer(nil) }, nil},
		{func() { s.retry(st) }, nil},
	}
	for i, step := range steps {
		step.do()
		if diff := cmp.Diff(step.want, sent()); diff != "" {
			t.Fatalf("step %d: -want +got:\n%s", i, diff)
		}
	}
	if got := s.State(testNode); got != (State{Proxies: 1, Serving: true}) {
		t.Errorf("state %+v", got)
	}
}

func TestStream_NackWithoutAName(t *testing.T) {
	b := newBed(t, nil)
	sink := newRecorder()
	sink.refuse = func(u ir.Update) error {
		if len(u.Upserts) > 0 && u.Upserts[0].(*ir.Listener).Port == 1 {
			return errors.New("address in use")
		}
		return nil
	}
	b.update(ir.Update{Complete: true, Upserts: []ir.Resource{listener("l", 1)}})
	b.connect(sink)
	until(t, b.changed, "the nack", func() bool { return b.server.State(testNode).Rejected == "address in use" })
	if b.server.State(testNode).Serving {
		t.Error("serving although the only update was rejected")
	}
	b.update(ir.Update{Upserts: []ir.Resource{listener("l", 80)}})
	until(t, b.changed, "the mended listener", func() bool { return b.server.State(testNode) == State{Proxies: 1, Serving: true} })
}

func TestClient_ReconnectsAndGetsTheDifference(t *testing.T) {
	b := newBed(t, nil)
	b.update(ir.Update{Complete: true, Upserts: []ir.Resource{listener("l", 80), route("a", 200), route("gone", 200)}})
	sink := newRecorder()
	b.connect(sink)
	until(t, b.changed, "serving", func() bool { return b.server.State(testNode).Serving })

	b.stop()
	if len(sink.names()) != 3 {
		t.Errorf("without a controller the proxy has %v, want what it had", sink.names())
	}
	b.server = NewServer(b.server.options) // a restarted controller knows nothing of its past
	b.serve()
	b.update(ir.Update{Complete: true, Upserts: []ir.Resource{listener("l", 80), route("a", 200), route("b", 200)}})
	until(t, sink.signal, "the difference", func() bool { return len(sink.updates()) == 2 })
	want := ir.Update{Upserts: []ir.Resource{route("b", 200)}, Removed: []ir.Ref{{Type: ir.TypeRoute, Name: "gone"}}}
	if diff := cmp.Diff(want, sink.updates()[1]); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestClient_StartsFromASnapshot(t *testing.T) {
	b := newBed(t, nil)
	b.update(ir.Update{Complete: true, Upserts: []ir.Resource{listener("l", 80), route("a", 200)}})
	sink := newRecorder()
	b.connect(sink, listener("l", 80), route("a", 200))
	until(t, sink.signal, "word that all is current", func() bool { return len(sink.updates()) == 1 })
	if got := sink.updates()[0]; !got.Empty() {
		t.Errorf("got %v, want an empty update", got)
	}
	until(t, b.changed, "serving", func() bool { return b.server.State(testNode).Serving })
}

func TestServer_UnknownNodeLeavesTheProxyAlone(t *testing.T) {
	b := newBed(t, nil)
	sink := newRecorder()
	b.connect(sink, route("kept", 200))
	until(t, b.changed, "connected", func() bool { return b.server.State(testNode).Proxies == 1 })
	b.update(ir.Update{Complete: true, Upserts: []ir.Resource{route("kept", 200), route("new", 200)}})
	until(t, sink.signal, "the first update", func() bool { return len(sink.updates()) == 1 })
	if diff := cmp.Diff(ir.Update{Upserts: []ir.Resource{route("new", 200)}}, sink.updates()[0]); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestServer_SlowClientGetsChangesTogether(t *testing.T) {
	b := newBed(t, nil)
	b.update(ir.Update{Complete: true, Upserts: []ir.Resource{route("r0", 200)}})
	sink := newRecorder()
	sink.hold = make(chan struct{})
	b.connect(sink)
	until(t, b.changed, "connected", func() bool { return b.server.State(testNode).Proxies == 1 })
	sink.hold <- struct{}{}
	until(t, sink.signal, "the first update", func() bool { return len(sink.updates()) == 1 })
	for i := range 1000 {
		b.update(ir.Update{Upserts: []ir.Resource{route(fmt.Sprintf("r%d", i%10), 200+i)}})
	}
	close(sink.hold)
	until(t, sink.signal, "the last change", func() bool {
		sink.mu.Lock()
		defer sink.mu.Unlock()
		r, ok := sink.current[ir.Ref{Type: ir.TypeRoute, Name: "r9"}].(*ir.Route)
		return ok && r.Rules[0].Direct.Status == 200+999
	})
	if got := len(sink.updates()); got > 4 {
		t.Errorf("1000 changes came in %d updates while the client was busy, want them together", got-1)
	}
}

// TestServer_StuckProxiesDelayNobody has one proxy that never reads what it is
// sent, and one that takes in an update and is never done with it.
func TestServer_StuckProxiesDelayNobody(t *testing.T) {
	b := newBed(t, nil)
	all := mesh()
	b.update(all)
	b.neverReads()
	stuck := newRecorder()
	stuck.hold = make(chan struct{})
	defer close(stuck.hold)
	b.connect(stuck)
	until(t, b.changed, "the stuck proxies are connected", func() bool { return b.server.State(testNode).Proxies == 2 })

	sink := newRecorder()
	b.connect(sink)
	until(t, sink.signal, "all of a new proxy", func() bool { return len(sink.names()) == len(all.Upserts) })
	for i := range 100 {
		b.update(ir.Update{Upserts: []ir.Resource{route("changing", 200+i)}})
		until(t, sink.signal, "a change", func() bool {
			sink.mu.Lock()
			defer sink.mu.Unlock()
			r, ok := sink.current[ir.Ref{Type: ir.TypeRoute, Name: "changing"}].(*ir.Route)
			return ok && r.Rules[0].Direct.Status == 200+i
		})
	}
	if got := len(stuck.updates()); got != 0 {
		t.Errorf("the stuck proxy has taken %d updates", got)
	}
	if got := b.server.State(testNode); got.Proxies != 3 || !got.Serving {
		t.Errorf("state %+v, want 3 proxies of which one serves", got)
	}
}

// neverReads opens a stream of which nobody reads.
func (b *bed) neverReads() {
	b.t.Helper()
	conn, err := grpc.NewClient("passthrough:///controller", grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithContextDialer(b.dial))
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { _ = conn.Close() })
	st, err := discoveryv3.NewAggregatedDiscoveryServiceClient(conn).DeltaAggregatedResources(b.t.Context())
	if err != nil {
		b.t.Fatal(err)
	}
	if err := st.Send(hello(testNode, "never reads", "", nil)); err != nil {
		b.t.Fatal(err)
	}
}

func TestServer_TenThousandResources(t *testing.T) {
	b := newBed(t, nil)
	all := ir.Update{Complete: true}
	for i := range 10_000 {
		all.Upserts = append(all.Upserts, route(fmt.Sprintf("HTTPRoute/namespace/a-route-of-ordinary-length-%d@listener", i), 200))
	}
	b.update(all)
	sink := newRecorder()
	b.connect(sink)
	until(t, sink.signal, "all of them", func() bool { return len(sink.names()) == 10_000 })
	b.update(ir.Update{Upserts: []ir.Resource{route("one-more", 200)}})
	until(t, sink.signal, "one more", func() bool { return len(sink.updates()) == 2 })
	if got := len(sink.updates()[1].Upserts); got != 1 {
		t.Errorf("one changed route sent %d resources", got)
	}
}

func TestServer_AuthorizesTokenAndNode(t *testing.T) {
	refused := make(chan string, 16)
	b := newBed(t, func(_ context.Context, token, node string) error {
		if token == "token" && node == testNode {
			refused <- token + " " + node
			return errors.New("not yours")
		}
		return nil
	})
	b.update(ir.Update{Complete: true, Upserts: []ir.Resource{listener("l", 80)}})
	sink := newRecorder()
	b.connect(sink)
	for range 2 { // it is asked again for every connection
		select {
		case <-refused:
		case <-time.After(deadline):
			t.Fatal("timed out: the authorisation is asked")
		}
	}
	if got := sink.updates(); len(got) != 0 {
		t.Errorf("a refused proxy got %v", got)
	}
}

func TestServer_RemoveNodeKeepsConnectedProxies(t *testing.T) {
	b := newBed(t, nil)
	b.update(ir.Update{Complete: true, Upserts: []ir.Resource{listener("l", 80)}})
	sink := newRecorder()
	cancel := b.connect(sink)
	until(t, b.changed, "serving", func() bool { return b.server.State(testNode).Serving })
	b.server.RemoveNode(testNode)
	if got := b.server.Streams(); got != 1 {
		t.Errorf("%d streams, want 1", got)
	}
	cancel()
	until(t, b.changed, "disconnected", func() bool { return b.server.Streams() == 0 })
	if got := sink.updates(); len(got) != 1 {
		t.Errorf("got %d updates, want the first only", len(got))
	}
}

func TestServer_NodeThatComesBackWithLess(t *testing.T) {
	b := newBed(t, nil)
	b.update(ir.Update{Complete: true, Upserts: []ir.Resource{listener("l", 80), route("a", 200), route("b", 200)}})
	sink := newRecorder()
	b.connect(sink)
	until(t, b.changed, "serving", func() bool { return b.server.State(testNode).Serving })
	b.server.RemoveNode(testNode)
	b.update(ir.Update{Complete: true, Upserts: []ir.Resource{listener("l", 80), route("a", 200)}})
	until(t, sink.signal, "the removal", func() bool { return len(sink.updates()) == 2 })
	if diff := cmp.Diff(ir.Update{Removed: []ir.Ref{{Type: ir.TypeRoute, Name: "b"}}}, sink.updates()[1]); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func BenchmarkUpdate_OneOfTenThousand(b *testing.B) {
	s := NewServer(ServerOptions{})
	all := ir.Update{Complete: true}
	for i := range 10_000 {
		all.Upserts = append(all.Upserts, route(fmt.Sprintf("r%d", i), 200))
	}
	if err := s.Update(testNode, all); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if err := s.Update(testNode, ir.Update{Upserts: []ir.Resource{route("r1", 200+i)}}); err != nil {
			b.Fatal(err)
		}
	}
}

// TestStream_MendedWhileItIsRefused: what was mended before the refusal came is not
// held to be refused.
func TestStream_MendedWhileItIsRefused(t *testing.T) {
	for name, mend := range map[string]ir.Update{
		"Changed": {Upserts: []ir.Resource{listener("l", 2)}},
		"Removed": {Removed: []ir.Ref{{Type: ir.TypeListener, Name: "l"}}},
	} {
		t.Run(name, func(t *testing.T) {
			s := NewServer(ServerOptions{})
			update := func(u ir.Update) {
				if err := s.Update(testNode, u); err != nil {
					t.Fatal(err)
				}
			}
			update(ir.Update{Complete: true, Upserts: []ir.Resource{listener("l", 1)}})
			st := s.join(testNode, hello(testNode, "proxy", "", nil))
			if s.next(testNode, st) == nil {
				t.Fatal("nothing is sent")
			}
			update(mend)
			no := rejection(&ir.ResourceError{Resource: ir.Ref{Type: ir.TypeListener, Name: "l"}, Err: errors.New("no")})
			s.settle(testNode, st, &discoveryv3.DeltaDiscoveryRequest{ResponseNonce: fmt.Sprint(st.nonce), ErrorDetail: no})
			if s.next(testNode, st) == nil {
				t.Fatal("what is mended is not sent")
			}
			s.settle(testNode, st, &discoveryv3.DeltaDiscoveryRequest{ResponseNonce: fmt.Sprint(st.nonce)})
			if got := s.State(testNode).Rejected; got != "" {
				t.Errorf("still rejected: %s", got)
			}
		})
	}
}

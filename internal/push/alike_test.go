package push

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"runtime"
	"testing"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/google/go-cmp/cmp"

	"github.com/citoroute/citoroute/internal/ir"
)

// fleet is a server of a few nodes that are alike, with a proxy each, and what
// the nodes should have: names and versions, from their own updates alone.
type fleet struct {
	t       *testing.T
	random  *rand.Rand
	server  *Server
	common  map[ir.Ref]ir.Resource
	want    map[string]map[string]string
	proxies map[string]*fakeProxy
}

// fakeProxy is the other end of a stream.
type fakeProxy struct {
	st  *stream
	has map[string]string
}

func newFleet(t *testing.T, seed uint64) *fleet {
	f := &fleet{
		t: t, random: rand.New(rand.NewPCG(seed, 0)), server: NewServer(ServerOptions{Now: epoch}),
		common: map[ir.Ref]ir.Resource{}, want: map[string]map[string]string{}, proxies: map[string]*fakeProxy{},
	}
	for i := range 3 {
		f.proxies[fmt.Sprint("mesh/", i)] = &fakeProxy{has: map[string]string{}}
	}
	return f
}

// resource is one of a few, in one of a few versions.
func (f *fleet) resource() ir.Resource {
	return route(fmt.Sprint("r", f.random.IntN(6)), 200+f.random.IntN(3))
}

// change returns an update at random.
func (f *fleet) change() (u ir.Update) {
	for range f.random.IntN(3) {
		u.Upserts = append(u.Upserts, f.resource())
	}
	if r := f.resource(); f.random.IntN(3) == 0 && len(u.Upserts) == 0 {
		u.Removed = []ir.Ref{ir.RefOf(r)}
	}
	return u
}

// expect notes what an update makes of a node.
func (f *fleet) expect(node string, u ir.Update) {
	if u.Complete || f.want[node] == nil {
		f.want[node] = map[string]string{}
	}
	for _, r := range u.Upserts {
		encoded, err := encode(r)
		if err != nil {
			f.t.Fatal(err)
		}
		f.want[node][encoded.GetName()] = encoded.GetVersion()
	}
	for _, ref := range u.Removed {
		delete(f.want[node], nameOf(ref))
	}
}

// update changes what is common and, alike or not, the nodes.
func (f *fleet) update() {
	common, nodes := f.change(), map[string]ir.Update{}
	for _, r := range common.Upserts {
		f.common[ir.RefOf(r)] = r
	}
	for _, ref := range common.Removed {
		delete(f.common, ref)
	}
	for node := range f.proxies {
		switch f.random.IntN(8) {
		case 0:
			whole := ir.Update{Complete: true}
			for _, r := range f.common {
				whole.Upserts = append(whole.Upserts, r)
			}
			nodes[node] = whole
		case 1:
			nodes[node] = f.change()
		case 2: // it stays as it is
		default:
			nodes[node] = common
		}
	}
	for node, u := range nodes {
		f.expect(node, u)
	}
	if err := f.server.UpdateAlike(common, nodes); err != nil {
		f.t.Fatal(err)
	}
}

// leave makes a node one that is not like the others, or none at all.
func (f *fleet) leave(node string) {
	if f.random.IntN(2) == 0 {
		f.server.RemoveNode(node)
		delete(f.want, node)
		return
	}
	u := ir.Update{Complete: true, Upserts: []ir.Resource{f.resource()}}
	f.expect(node, u)
	if err := f.server.Update(node, u); err != nil {
		f.t.Fatal(err)
	}
}

// reconnect ends the stream of a proxy, if it has one, and begins another.
func (f *fleet) reconnect(node string) {
	p := f.proxies[node]
	if p.st != nil {
		f.server.leave(node, p.st)
	}
	p.st = f.server.join(node, hello(node, "proxy", "", maps.Clone(p.has)))
}

// exchange takes a response and, after what happens meanwhile, answers it. It
// says whether there was one.
func (f *fleet) exchange(node string, nack bool, meanwhile func()) bool {
	p := f.proxies[node]
	response := f.server.next(node, p.st)
	if response == nil {
		return false
	}
	meanwhile()
	answer := &discoveryv3.DeltaDiscoveryRequest{ResponseNonce: response.GetNonce()}
	if nack && len(response.GetResources()) > 0 {
		ref, _, _ := refOf(response.GetResources()[0].GetName())
		answer.ErrorDetail = rejection(&ir.ResourceError{Resource: ref, Err: errors.New("no")})
		for _, r := range response.GetResources() {
			p.has[r.GetName()] = unsure
		}
	} else {
		for _, r := range response.GetResources() {
			p.has[r.GetName()] = r.GetVersion()
		}
		for _, name := range response.GetRemovedResources() {
			delete(p.has, name)
		}
	}
	f.server.settle(node, p.st, answer)
	return true
}

// compare has every proxy take what there is for it, and looks at what it has.
func (f *fleet) compare() {
	f.t.Helper()
	for node, p := range f.proxies {
		f.server.retry(p.st)
		for f.exchange(node, false, func() {}) {
		}
		held := map[string]string{}
		for name, r := range f.server.nodes[node].resources.all() {
			held[name] = r.GetVersion()
		}
		want := f.want[node]
		if want == nil {
			want = map[string]string{}
		}
		if diff := cmp.Diff(want, held); diff != "" {
			f.t.Errorf("%s (-want +held):\n%s", node, diff)
		}
		if diff := cmp.Diff(want, p.has); f.want[node] != nil && diff != "" {
			f.t.Errorf("%s (-want +proxy):\n%s", node, diff)
		}
		if n := len(p.st.differs); f.want[node] != nil && n > 0 {
			f.t.Errorf("%s: %d resources are said to differ", node, n)
		}
	}
}

// TestServer_UpdateAlikeAtRandom has nodes come, go, change together and each for
// itself while their proxies connect, refuse and fall behind.
func TestServer_UpdateAlikeAtRandom(t *testing.T) {
	for seed := range uint64(200) {
		f := newFleet(t, seed)
		for node := range f.proxies {
			f.reconnect(node)
		}
		for range 60 {
			node := fmt.Sprint("mesh/", f.random.IntN(3))
			switch f.random.IntN(8) {
			case 0:
				f.leave(node)
			case 1:
				f.reconnect(node)
			case 2, 3, 4:
				f.exchange(node, f.random.IntN(3) == 0, []func(){f.update, func() {}}[f.random.IntN(2)])
			case 5:
				f.compare()
			default:
				f.update()
			}
		}
		f.compare()
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

// mesh is what 500 routes of producers make for every node: 2,000 resources.
func mesh() ir.Update {
	u := ir.Update{Complete: true}
	for i := range 500 {
		service := fmt.Sprintf("service/producer/service-%d:80", i)
		u.Upserts = append(u.Upserts,
			&ir.Endpoints{Name: service, Addresses: []ir.Endpoint{{Host: "10.0.0.1", Port: 80}, {Host: "10.0.0.2", Port: 80}}},
			&ir.Backend{Name: service, Endpoints: service},
			listener(fmt.Sprintf("mesh/producer/service-%d/80", i), 80),
			route(fmt.Sprintf("httproute/producer/route-%d@mesh/producer/service-%d/80", i, i), 200))
	}
	return u
}

// BenchmarkServer_NewProxy is what the server does for a proxy that has nothing:
// until the whole configuration is ready to be sent, and when it is acknowledged.
// heap-B/proxy is what it keeps of a proxy that has everything.
func BenchmarkServer_NewProxy(b *testing.B) {
	s := NewServer(ServerOptions{})
	if err := s.UpdateAlike(mesh(), map[string]ir.Update{testNode: mesh()}); err != nil {
		b.Fatal(err)
	}
	connect := func() *stream {
		st := s.join(testNode, hello(testNode, "proxy", "", nil))
		response := s.next(testNode, st)
		if len(response.GetResources()) != 2000 {
			b.Fatalf("%d resources", len(response.GetResources()))
		}
		s.settle(testNode, st, &discoveryv3.DeltaDiscoveryRequest{ResponseNonce: response.GetNonce()})
		return st
	}
	b.ReportAllocs()
	for b.Loop() {
		s.leave(testNode, connect())
	}
	const proxies = 100
	before := heap()
	for range proxies {
		connect()
	}
	b.ReportMetric(float64(heap()-before)/proxies, "heap-B/proxy")
	runtime.KeepAlive(s)
}

// heap returns the bytes in use.
func heap() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

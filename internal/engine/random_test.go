package engine_test

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	corev1 "k8s.io/api/core/v1"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/citoroute/citoroute/internal/engine"
	"github.com/citoroute/citoroute/internal/ir"
	"github.com/citoroute/citoroute/internal/translate"
)

// proxy keeps a node's configuration as a proxy would, from updates alone.
type proxy map[ir.Ref]ir.Resource

// apply takes an update in, one resource after another, and fails where a
// resource comes before one that it refers to or goes before one that refers
// to it.
func (p proxy) apply(t *testing.T, u ir.Update) {
	t.Helper()
	if u.Complete {
		clear(p)
	}
	for _, r := range u.Upserts {
		for _, ref := range translate.References(r) {
			if p[ref] == nil {
				t.Errorf("%v arrives before %v", ir.RefOf(r), ref)
			}
		}
		p[ir.RefOf(r)] = r
	}
	for _, gone := range u.Removed {
		if p[gone] == nil {
			t.Errorf("%v is removed and was not there", gone)
		}
		delete(p, gone)
		for _, r := range p {
			for _, ref := range translate.References(r) {
				if ref == gone {
					t.Errorf("%v is removed while %v refers to it", gone, ir.RefOf(r))
				}
			}
		}
	}
}

// randomChange creates, changes or removes one of a few objects.
func randomChange(t *testing.T, random *rand.Rand) engine.Change {
	t.Helper()
	name := fmt.Sprint("n", random.IntN(4))
	var o translate.Object
	switch random.IntN(13) {
	case 0:
		gw := gateway([]int32{80, 81, 82}[:1+random.IntN(3)]...)
		gw.Name = fmt.Sprint("gw", random.IntN(2))
		from := []gatewayv1.FromNamespaces{gatewayv1.NamespacesFromAll, gatewayv1.NamespacesFromNone}[random.IntN(2)]
		gw.Spec.AllowedListeners = &gatewayv1.AllowedListeners{Namespaces: &gatewayv1.ListenerNamespaces{From: &from}}
		o = gw
	case 1:
		o = class([]string{controllerName, controllerName, controllerName, "example.com/other"}[random.IntN(4)])
	case 2:
		o = randomService(random, name)
	case 3:
		o = slice(name, fmt.Sprintf("10.0.0.%d", 1+random.IntN(9)))
	case 4:
		ls := &gatewayv1.ListenerSet{ObjectMeta: meta("set")}
		ls.Spec.ParentRef.Name = gatewayv1.ObjectName(fmt.Sprint("gw", random.IntN(2)))
		ls.Spec.Listeners = []gatewayv1.ListenerEntry{{Name: "own", Port: 80 + random.Int32N(5), Protocol: gatewayv1.HTTPProtocolType}}
		o = ls
	case 5:
		policy := &gatewayv1.BackendTLSPolicy{ObjectMeta: meta(fmt.Sprint("p", random.IntN(2)))}
		target := gatewayv1.LocalPolicyTargetReferenceWithSectionName{}
		target.Kind, target.Name = "Service", gatewayv1.ObjectName(name)
		policy.Spec.TargetRefs = []gatewayv1.LocalPolicyTargetReferenceWithSectionName{target}
		policy.Spec.Validation.Hostname = "a.test"
		policy.Spec.Validation.WellKnownCACertificates = new(gatewayv1.WellKnownCACertificatesSystem)
		o = policy
	case 6:
		o = namespace(fmt.Sprint("ns", random.IntN(3)), []string{"enabled", "enabled", ""}[random.IntN(3)])
	case 7, 8, 9:
		o = randomMeshRoute(random, name)
	default:
		r := route(name, name+".test", fmt.Sprint("n", random.IntN(5)))
		r.Spec.ParentRefs = []gatewayv1.ParentReference{{Name: "gw0"}, {Name: "gw1"}, {Kind: new(gatewayv1.Kind("ListenerSet")), Name: "set"}}[random.IntN(3):]
		o = r
	}
	if random.IntN(4) == 0 {
		return gone(t, o)
	}
	return set(t, o)[0]
}

// randomService has a cluster IP or none and one port or two.
func randomService(random *rand.Rand, name string) *corev1.Service {
	s := frontend(name, []string{"10.96.0.1", "10.96.0.2", "None"}[random.IntN(3)], []int32{80, 81}[:1+random.IntN(2)]...)
	s.Namespace = []string{"ns", "ns0"}[random.IntN(2)]
	return s
}

// randomMeshRoute is of one of two kinds, in one of three namespaces.
func randomMeshRoute(random *rand.Rand, service string) translate.Object {
	r := meshRoute(fmt.Sprint("ns", random.IntN(3)), fmt.Sprint("m", random.IntN(3)))
	parent := &r.Spec.ParentRefs[0]
	parent.Name, parent.Namespace = gatewayv1.ObjectName(service), new(gatewayv1.Namespace("ns0"))
	parent.Port = []*gatewayv1.PortNumber{nil, new(gatewayv1.PortNumber(80)), new(gatewayv1.PortNumber(81))}[random.IntN(3)]
	if random.IntN(3) > 0 {
		return r
	}
	g := &gatewayv1.GRPCRoute{ObjectMeta: r.ObjectMeta}
	g.Spec.ParentRefs = r.Spec.ParentRefs
	g.Spec.Rules = []gatewayv1.GRPCRouteRule{{BackendRefs: []gatewayv1.GRPCBackendRef{{BackendRef: r.Spec.Rules[0].BackendRefs[0].BackendRef}}}}
	return g
}

// TestApply_RandomChanges applies random changes, and after each compares what
// proxies have got with the snapshots of an engine that starts from nothing.
func TestApply_RandomChanges(t *testing.T) {
	for seed := range uint64(40) {
		t.Run(fmt.Sprint("Seed", seed), func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 0))
			e := engine.New(engine.Options{ControllerName: controllerName, Mesh: true})
			proxies := map[string]proxy{}
			objects := map[translate.Key]translate.Object{}
			for range 60 {
				c := randomChange(t, random)
				objects[c.Key] = c.Object
				result := e.Apply(c)
				for _, node := range result.RemovedNodes {
					delete(proxies, node)
				}
				for node, u := range result.Nodes {
					if proxies[node] == nil {
						proxies[node] = proxy{}
					}
					proxies[node].apply(t, u)
				}
				compareWithFresh(t, e, objects, proxies)
				if t.Failed() {
					t.Fatalf("after %v (gone: %v)", c.Key, c.Object == nil)
				}
			}
		})
	}
}

func compareWithFresh(t *testing.T, e *engine.Engine, objects map[translate.Key]translate.Object, proxies map[string]proxy) {
	t.Helper()
	fresh := engine.New(engine.Options{ControllerName: controllerName, Mesh: true})
	for key, o := range objects {
		if o != nil {
			fresh.Apply(engine.Change{Key: key, Object: o})
		}
	}
	if diff := cmp.Diff(fresh.Nodes(), e.Nodes()); diff != "" {
		t.Errorf("nodes (-fresh +incremental):\n%s", diff)
	}
	for _, node := range fresh.Nodes() {
		want := proxy{}
		want.apply(t, fresh.Snapshot(node))
		if diff := cmp.Diff(want, proxies[node], cmpopts.EquateComparable(netip.Addr{})); diff != "" {
			t.Errorf("%s (-fresh +proxy):\n%s", node, diff)
		}
	}
	for key, o := range objects {
		if diff := cmp.Diff(fresh.Report(key), e.Report(key)); o != nil && diff != "" {
			t.Errorf("report of %s (-fresh +incremental):\n%s", key, diff)
		}
	}
}

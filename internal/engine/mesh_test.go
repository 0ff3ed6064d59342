package engine_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/citoroute/citoroute/api/v1alpha1"
	"github.com/citoroute/citoroute/internal/engine"
	"github.com/citoroute/citoroute/internal/ir"
	"github.com/citoroute/citoroute/internal/translate"
)

func namespace(name, injection string) *corev1.Namespace {
	out := &corev1.Namespace{Name: name}
	if injection != "" {
		out.Labels = map[string]string{v1alpha1.LabelInjection: injection}
	}
	return out
}

// frontend returns a Service that routes can be attached to.
func frontend(name, address string, ports ...int32) *corev1.Service {
	s := service(name)
	s.Spec.ClusterIP = address
	s.Spec.Ports = nil
	for _, port := range ports {
		s.Spec.Ports = append(s.Spec.Ports, corev1.ServicePort{Name: fmt.Sprintf("p%d", port), Port: port})
	}
	return s
}

// meshRoute returns a route in a namespace for ns/front with backend ns/a.
func meshRoute(in, name string) *gatewayv1.HTTPRoute {
	r := route(name, "ignored.test", "a")
	r.Namespace = in
	ns := gatewayv1.Namespace("ns")
	r.Spec.ParentRefs = []gatewayv1.ParentReference{{Group: new(gatewayv1.Group("")), Kind: new(gatewayv1.Kind("Service")), Namespace: &ns, Name: "front"}}
	r.Spec.Rules[0].BackendRefs[0].Namespace = &ns
	return r
}

// mesh returns an engine with two namespaces in the mesh, a Service and the
// producer's route for it.
func mesh(tb testing.TB) *engine.Engine {
	tb.Helper()
	e := engine.New(engine.Options{ControllerName: controllerName, Mesh: true})
	e.Apply(set(tb, namespace("ns", "enabled"), namespace("client", "enabled"), namespace("plain", ""),
		service("a"), slice("a", "10.0.0.1"), frontend("front", "10.96.0.1", 80), meshRoute("ns", "producer"))...)
	return e
}

const (
	frontListener = "listener mesh/ns/front/80"
	producerRoute = "route httproute/ns/producer@mesh/ns/front/80"
	consumerRoute = "route httproute/client/own@mesh/ns/front/80"
)

func TestApply_MeshSendsOnlyWhatChanged(t *testing.T) {
	unlabelled, disabled := namespace("client", ""), namespace("client", "disabled")
	everything := []string{"+endpoints service/ns/a:80", "+backend service/ns/a:80", "+" + frontListener, "+" + producerRoute}
	for name, c := range map[string]struct {
		change  []engine.Change
		want    map[string][]string
		removed []string
	}{
		"NamespaceComes":      {change: set(t, namespace("plain", "enabled")), want: map[string][]string{"mesh/plain": everything}},
		"NamespaceUnlabelled": {change: set(t, unlabelled), removed: []string{"mesh/client"}},
		"NamespaceDisabled":   {change: set(t, disabled), removed: []string{"mesh/client"}},
		"NamespaceGone":       {change: []engine.Change{gone(t, unlabelled)}, removed: []string{"mesh/client"}},
		"NamespaceOfTheServiceLeaves": {
			change: set(t, namespace("ns", "")), removed: []string{"mesh/ns"},
		},
		"ServiceMoves": {
			change: set(t, frontend("front", "10.96.0.2", 80)),
			want:   map[string][]string{"mesh/ns": {"+" + frontListener}, "mesh/client": {"+" + frontListener}},
		},
		"ServiceGetsAPort": {
			change: set(t, frontend("front", "10.96.0.1", 80, 81)),
			want: map[string][]string{
				"mesh/ns":     {"+listener mesh/ns/front/81", "+route httproute/ns/producer@mesh/ns/front/81"},
				"mesh/client": {"+listener mesh/ns/front/81", "+route httproute/ns/producer@mesh/ns/front/81"},
			},
		},
		"ConsumerComes": {
			change: set(t, meshRoute("client", "own")),
			want:   map[string][]string{"mesh/client": {"+" + consumerRoute, "-" + producerRoute}},
		},
		"ConsumerOutsideOfTheMesh": {change: set(t, meshRoute("plain", "own"))},
		"SecondProducer": {
			change: set(t, meshRoute("ns", "second")),
			want: map[string][]string{
				"mesh/ns":     {"+route httproute/ns/second@mesh/ns/front/80"},
				"mesh/client": {"+route httproute/ns/second@mesh/ns/front/80"},
			},
		},
		"NewEndpoints": {
			change: set(t, slice("a", "10.0.0.2")),
			want:   map[string][]string{"mesh/ns": {"+endpoints service/ns/a:80"}, "mesh/client": {"+endpoints service/ns/a:80"}},
		},
		"ServiceWithoutRoutes": {change: set(t, frontend("other", "10.96.0.9", 80))},
		"SameAgain":            {change: set(t, meshRoute("ns", "producer"), frontend("front", "10.96.0.1", 80), namespace("client", "enabled"))},
	} {
		t.Run(name, func(t *testing.T) {
			compareUpdates(t, mesh(t).Apply(c.change...), c.want, c.removed)
		})
	}
}

// compareUpdates compares what each node gets; nil is nothing.
func compareUpdates(t *testing.T, r engine.Result, want map[string][]string, removed []string) {
	t.Helper()
	var got map[string][]string
	for node, update := range r.Nodes {
		if got == nil {
			got = map[string][]string{}
		}
		got[node] = names(update)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("updates (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(removed, r.RemovedNodes); diff != "" {
		t.Errorf("removed nodes (-want +got):\n%s", diff)
	}
	for _, key := range r.Status {
		if key.Kind != translate.KindHTTPRoute {
			t.Errorf("%s has no status of ours", key)
		}
	}
	if len(r.Infra) > 0 {
		t.Errorf("infrastructure of %v", r.Infra)
	}
}

// routeTo is meshRoute with another backend.
func routeTo(in, name, service string) *gatewayv1.HTTPRoute {
	r := meshRoute(in, name)
	r.Spec.Rules[0].BackendRefs[0].Name = gatewayv1.ObjectName(service)
	return r
}

func TestApply_MeshConsumerGoesWithoutWhatOnlyTheProducerNeeds(t *testing.T) {
	e := mesh(t)
	e.Apply(set(t, service("b"), slice("b", "10.0.0.2"))...)
	replaced := []string{
		"+endpoints service/ns/b:80", "+backend service/ns/b:80", "+" + consumerRoute,
		"-" + producerRoute, "-backend service/ns/a:80", "-endpoints service/ns/a:80",
	}
	compareUpdates(t, e.Apply(set(t, routeTo("client", "own", "b"))...), map[string][]string{"mesh/client": replaced}, nil)
	compareUpdates(t, e.Apply(set(t, slice("a", "10.0.0.3"))...), map[string][]string{"mesh/ns": {"+endpoints service/ns/a:80"}}, nil)

	// The producer's second route is for another Service, so the consumer has it,
	// and with it the backend.
	other := meshRoute("ns", "other")
	other.Spec.ParentRefs[0].Name = "second"
	added := []string{"+listener mesh/ns/second/80", "+route httproute/ns/other@mesh/ns/second/80"}
	compareUpdates(t, e.Apply(set(t, frontend("second", "10.96.0.2", 80), other)...), map[string][]string{
		"mesh/ns":     added,
		"mesh/client": append([]string{"+endpoints service/ns/a:80", "+backend service/ns/a:80"}, added...),
	}, nil)
}

func TestApply_MeshNodesShareResources(t *testing.T) {
	e := mesh(t)
	e.Apply(set(t, namespace("third", "enabled"), routeTo("client", "own", "a"))...)
	resources := func(node string) map[ir.Ref]ir.Resource {
		out := map[ir.Ref]ir.Resource{}
		for _, r := range e.Snapshot(node).Upserts {
			out[ir.RefOf(r)] = r
		}
		return out
	}
	ns, third := resources("mesh/ns"), resources("mesh/third")
	for ref, r := range ns {
		if third[ref] != r {
			t.Errorf("%v is there twice", ref)
		}
	}
	result := e.Apply(set(t, slice("a", "10.0.0.9"))...)
	if diff := cmp.Diff([]string{"+endpoints service/ns/a:80"}, names(result.Mesh)); diff != "" {
		t.Errorf("what changed for all (-want +got):\n%s", diff)
	}
	for _, node := range []string{"mesh/ns", "mesh/third"} {
		if got := result.Nodes[node].Upserts; len(got) != 1 || got[0] != result.Mesh.Upserts[0] {
			t.Errorf("%s got a resource of its own: %v", node, fmt.Sprint(got))
		}
	}
}

func TestApply_MeshProducerIsBackWhenTheConsumerGoes(t *testing.T) {
	e := mesh(t)
	e.Apply(set(t, meshRoute("client", "own"))...)
	if got := e.Report(set(t, meshRoute("client", "own"))[0].Key); len(got.Parents) != 1 || len(got.Findings) != 0 {
		t.Errorf("report of the consumer's route: %+v", got)
	}
	compareUpdates(t, e.Apply(gone(t, meshRoute("client", "own"))),
		map[string][]string{"mesh/client": {"+" + producerRoute, "-" + consumerRoute}}, nil)
	everything := []string{"-" + producerRoute, "-" + frontListener, "-backend service/ns/a:80", "-endpoints service/ns/a:80"}
	compareUpdates(t, e.Apply(gone(t, meshRoute("ns", "producer"))), map[string][]string{"mesh/ns": everything, "mesh/client": everything}, nil)
}

func TestApply_MeshServiceGoneAndBack(t *testing.T) {
	e := mesh(t)
	key := set(t, meshRoute("ns", "producer"))[0].Key
	e.Apply(gone(t, frontend("front", "")))
	if got := e.Report(key); len(got.Findings) != 1 || got.Findings[0].Reason != string(gatewayv1.RouteReasonNoMatchingParent) {
		t.Errorf("without the Service: %+v", got.Findings)
	}
	e.Apply(set(t, frontend("front", "10.96.0.1", 80))...)
	if got := e.Report(key); len(got.Findings) != 0 {
		t.Errorf("with the Service: %+v", got.Findings)
	}
	if diff := cmp.Diff(names(mesh(t).Snapshot("mesh/ns")), names(e.Snapshot("mesh/ns"))); diff != "" {
		t.Errorf("-fresh +incremental:\n%s", diff)
	}
}

func TestApply_MeshOffLeavesServicesAlone(t *testing.T) {
	e := engine.New(engine.Options{ControllerName: controllerName})
	e.Apply(set(t, namespace("ns", "enabled"), service("a"), frontend("front", "10.96.0.1", 80), meshRoute("ns", "producer"))...)
	if len(e.Nodes()) != 0 || e.Report(set(t, meshRoute("ns", "producer"))[0].Key).Managed {
		t.Errorf("nodes %v, or the route is reported on", e.Nodes())
	}
}

func TestNodeOf_OwnerOf(t *testing.T) {
	for node, key := range map[string]translate.Key{
		"gateway/ns/gw": {Kind: translate.KindGateway, Namespace: "ns", Name: "gw"},
		"mesh/ns":       {Kind: translate.KindNamespace, Name: "ns"},
	} {
		if got := engine.OwnerOf(node); got != key {
			t.Errorf("OwnerOf(%q) = %v", node, got)
		}
		if got := engine.NodeOf(key); got != node {
			t.Errorf("NodeOf(%v) = %q", key, got)
		}
	}
	for _, node := range []string{"", "mesh/", "mesh/a/b", "gateway/ns", "other/ns"} {
		if got := engine.OwnerOf(node); got != (translate.Key{}) {
			t.Errorf("OwnerOf(%q) = %v", node, got)
		}
	}
	if got := engine.GatewayOf("mesh/ns"); got != (translate.Key{}) {
		t.Errorf("GatewayOf(mesh/ns) = %v", got)
	}
}

// largeRoute returns the route of a large mesh for its Service of that number.
func largeRoute(i int, backend string) *gatewayv1.HTTPRoute {
	r := meshRoute("ns", fmt.Sprintf("r%d", i))
	r.Spec.ParentRefs[0].Name = gatewayv1.ObjectName(fmt.Sprintf("s%d", i))
	r.Spec.Rules[0].BackendRefs[0].Name = gatewayv1.ObjectName(backend)
	return r
}

// large returns a mesh of 50 namespaces with 1,000 routes, each for a Service of
// its own.
func large(b *testing.B) *engine.Engine {
	b.Helper()
	e := engine.New(engine.Options{ControllerName: controllerName, Mesh: true})
	var changes []engine.Change
	for i := range 50 {
		changes = append(changes, set(b, namespace(fmt.Sprintf("n%d", i), "enabled"))...)
	}
	for i := range 1000 {
		name := fmt.Sprintf("s%d", i)
		changes = append(changes, set(b, frontend(name, fmt.Sprintf("10.96.%d.%d", i/250, i%250), 80), slice(name, "10.0.0.1"), largeRoute(i, name))...)
	}
	e.Apply(changes...)
	return e
}

// BenchmarkApply_MeshNamespace puts a namespace into a large mesh, or out of it.
func BenchmarkApply_MeshNamespace(b *testing.B) {
	e := large(b)
	versions := [2][]engine.Change{set(b, namespace("new", "enabled")), set(b, namespace("new", ""))}
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		if r := e.Apply(versions[i%2]...); len(r.Nodes)+len(r.RemovedNodes) != 1 {
			b.Fatalf("got %v and %v", r.Nodes, r.RemovedNodes)
		}
	}
}

// BenchmarkApply_MeshOneRouteOf1k changes one route in a large mesh.
func BenchmarkApply_MeshOneRouteOf1k(b *testing.B) {
	e := large(b)
	versions := [2][]engine.Change{set(b, largeRoute(77, "s1")), set(b, largeRoute(77, "s2"))}
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		if r := e.Apply(versions[i%2]...); len(r.Nodes["mesh/n7"].Upserts) != 1 {
			b.Fatalf("got %v", names(r.Nodes["mesh/n7"]))
		}
	}
}

package engine_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/citoroute/citoroute/internal/engine"
	"github.com/citoroute/citoroute/internal/ir"
	"github.com/citoroute/citoroute/internal/translate"
)

const controllerName = "citoroute.io/gateway-controller"

func set(tb testing.TB, objects ...translate.Object) []engine.Change {
	tb.Helper()
	var out []engine.Change
	for _, o := range objects {
		key, ok := translate.KeyOf(o)
		if !ok {
			tb.Fatalf("%T has no key", o)
		}
		out = append(out, engine.Change{Key: key, Object: o})
	}
	return out
}

func gone(tb testing.TB, o translate.Object) engine.Change {
	tb.Helper()
	c := set(tb, o)[0]
	c.Object = nil
	return c
}

func meta(name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: "ns", Name: name, Generation: 1}
}

func class(controller string) *gatewayv1.GatewayClass {
	return &gatewayv1.GatewayClass{
		Name: "class",
		Spec: gatewayv1.GatewayClassSpec{ControllerName: gatewayv1.GatewayController(controller)},
	}
}

func gateway(ports ...int32) *gatewayv1.Gateway {
	gw := &gatewayv1.Gateway{ObjectMeta: meta("gw"), Spec: gatewayv1.GatewaySpec{GatewayClassName: "class"}}
	for _, port := range ports {
		gw.Spec.Listeners = append(gw.Spec.Listeners, gatewayv1.Listener{
			Name: gatewayv1.SectionName(fmt.Sprintf("http-%d", port)), Port: port, Protocol: gatewayv1.HTTPProtocolType,
		})
	}
	return gw
}

func service(name string) *corev1.Service {
	return &corev1.Service{ObjectMeta: meta(name), Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 80}}}}
}

func slice(service string, addresses ...string) *discoveryv1.EndpointSlice {
	port := int32(8080)
	out := &discoveryv1.EndpointSlice{ObjectMeta: meta(service + "-a"), Ports: []discoveryv1.EndpointPort{{Port: &port}}}
	out.Labels = map[string]string{discoveryv1.LabelServiceName: service}
	for _, a := range addresses {
		out.Endpoints = append(out.Endpoints, discoveryv1.Endpoint{Addresses: []string{a}})
	}
	return out
}

func route(name, host, service string) *gatewayv1.HTTPRoute {
	port := gatewayv1.PortNumber(80)
	r := &gatewayv1.HTTPRoute{ObjectMeta: meta(name)}
	r.Spec.ParentRefs = []gatewayv1.ParentReference{{Name: "gw"}}
	r.Spec.Hostnames = []gatewayv1.Hostname{gatewayv1.Hostname(host)}
	backend := gatewayv1.HTTPBackendRef{}
	backend.Name, backend.Port = gatewayv1.ObjectName(service), &port
	r.Spec.Rules = []gatewayv1.HTTPRouteRule{{BackendRefs: []gatewayv1.HTTPBackendRef{backend}}}
	return r
}

// small returns an engine with one Gateway and two routes to two Services.
func small(tb testing.TB) *engine.Engine {
	tb.Helper()
	e := engine.New(engine.Options{ControllerName: controllerName})
	e.Apply(set(tb, class(controllerName), gateway(80), service("a"), service("b"), slice("a", "10.0.0.1"), slice("b", "10.0.0.2"),
		route("one", "one.test", "a"), route("two", "two.test", "b"))...)
	return e
}

// names lists an update as "+type name" and "-type name", in order.
func names(u ir.Update) []string {
	var out []string
	for _, r := range u.Upserts {
		out = append(out, "+"+string(r.ResourceType())+" "+r.ResourceName())
	}
	for _, ref := range u.Removed {
		out = append(out, "-"+string(ref.Type)+" "+ref.Name)
	}
	return out
}

func TestApply_SendsOnlyWhatChanged(t *testing.T) {
	const node = "gateway/ns/gw"
	for name, c := range map[string]struct {
		change []engine.Change
		want   []string
		status []string
	}{
		"NewEndpoints": {
			change: set(t, slice("a", "10.0.0.1", "10.0.0.3")),
			want:   []string{"+endpoints service/ns/a:80"},
		},
		"RouteMovesToAnotherService": {
			change: set(t, route("one", "one.test", "b")),
			want:   []string{"+route httproute/ns/one@ns/gw/http-80", "-backend service/ns/a:80", "-endpoints service/ns/a:80"},
			status: []string{"HTTPRoute/ns/one"},
		},
		"RouteToANewServiceComesAfterItsBackend": {
			change: set(t, route("one", "one.test", "c"), service("c"), slice("c", "10.0.0.9")),
			want: []string{
				"+endpoints service/ns/c:80", "+backend service/ns/c:80", "+route httproute/ns/one@ns/gw/http-80",
				"-backend service/ns/a:80", "-endpoints service/ns/a:80",
			},
			status: []string{"HTTPRoute/ns/one"},
		},
		"RouteGone": {
			change: []engine.Change{gone(t, route("one", "", ""))},
			want:   []string{"-route httproute/ns/one@ns/gw/http-80", "-backend service/ns/a:80", "-endpoints service/ns/a:80"},
			status: []string{"Gateway/ns/gw"},
		},
		"ServiceGone": {
			change: []engine.Change{gone(t, service("a"))},
			want:   []string{"+route httproute/ns/one@ns/gw/http-80", "-backend service/ns/a:80", "-endpoints service/ns/a:80"},
			status: []string{"HTTPRoute/ns/one"},
		},
		"SecondListener": {
			change: set(t, gateway(80, 8080)),
			want: []string{
				"+listener ns/gw/http-8080",
				"+route httproute/ns/one@ns/gw/http-8080", "+route httproute/ns/two@ns/gw/http-8080",
			},
			status: []string{"Gateway/ns/gw"},
		},
		"SameAgain": {
			change: set(t, route("one", "one.test", "a"), service("b")),
			status: []string{"HTTPRoute/ns/one"},
		},
		"Unrelated": {
			change: set(t, service("c"), slice("c", "10.0.0.9")),
		},
	} {
		t.Run(name, func(t *testing.T) {
			result := small(t).Apply(c.change...)
			if diff := cmp.Diff(c.want, names(result.Nodes[node])); diff != "" {
				t.Errorf("update (-want +got):\n%s", diff)
			}
			var status []string
			for _, key := range result.Status {
				status = append(status, key.String())
			}
			if diff := cmp.Diff(c.status, status); diff != "" {
				t.Errorf("status (-want +got):\n%s", diff)
			}
		})
	}
}

func TestApply_NewNodeGetsACompleteUpdateAndIsRemovedWithItsGateway(t *testing.T) {
	e := engine.New(engine.Options{ControllerName: controllerName})
	result := e.Apply(set(t, route("one", "one.test", "a"), service("a"), slice("a", "10.0.0.1"), class(controllerName))...)
	if len(result.Nodes) != 0 {
		t.Fatalf("nodes without a Gateway: %v", result.Nodes)
	}
	result = e.Apply(set(t, gateway(80))...)
	update := result.Nodes["gateway/ns/gw"]
	if !update.Complete || len(update.Upserts) != 4 {
		t.Errorf("got complete=%v %v, want a complete update of 4 resources", update.Complete, names(update))
	}
	if diff := cmp.Diff(names(e.Snapshot("gateway/ns/gw")), names(update)); diff != "" {
		t.Errorf("snapshot differs (-snapshot +update):\n%s", diff)
	}
	result = e.Apply(gone(t, gateway()))
	if diff := cmp.Diff([]string{"gateway/ns/gw"}, result.RemovedNodes); diff != "" {
		t.Errorf("removed nodes (-want +got):\n%s", diff)
	}
	if len(result.Nodes) != 0 || len(e.Nodes()) != 0 {
		t.Errorf("the node is still there: %v %v", result.Nodes, e.Nodes())
	}
}

func TestApply_LeavesOtherControllersAlone(t *testing.T) {
	e := engine.New(engine.Options{ControllerName: controllerName})
	result := e.Apply(set(t, class("example.com/other"), gateway(80), route("one", "one.test", "a"), service("a"))...)
	if len(result.Nodes) != 0 || len(e.Nodes()) != 0 {
		t.Errorf("a foreign Gateway has a node: %v", e.Nodes())
	}
	for _, key := range result.Status {
		if e.Report(key).Managed {
			t.Errorf("%s is reported on", key)
		}
	}
	result = e.Apply(set(t, class(controllerName))...)
	if !result.Nodes["gateway/ns/gw"].Complete {
		t.Errorf("the Gateway is not served once its class is ours: %v", result.Nodes)
	}
	result = e.Apply(set(t, class("example.com/other"))...)
	if !slices.Equal(result.RemovedNodes, []string{"gateway/ns/gw"}) {
		t.Errorf("removed nodes: %v", result.RemovedNodes)
	}
}

func TestApply_CountsAttachedRoutes(t *testing.T) {
	e := small(t)
	count := func() int32 { return e.Report(set(t, gateway())[0].Key).Listeners[0].AttachedRoutes }
	if got := count(); got != 2 {
		t.Errorf("got %d attached routes, want 2", got)
	}
	e.Apply(gone(t, route("one", "", "")))
	if got := count(); got != 1 {
		t.Errorf("after a route is gone: got %d attached routes, want 1", got)
	}
}

func TestApply_AsksForInfrastructureOnlyIfItMayDiffer(t *testing.T) {
	e := small(t)
	statusOnly := gateway(80)
	statusOnly.Status.Addresses = []gatewayv1.GatewayStatusAddress{{Value: "192.0.2.1"}}
	if r := e.Apply(set(t, statusOnly)...); len(r.Infra) != 0 {
		t.Errorf("a change of the status asks for infrastructure: %v", r.Infra)
	}
	if r := e.Apply(set(t, gateway(80, 81))...); len(r.Infra) != 1 {
		t.Errorf("a new port does not ask for infrastructure: %v", r.Infra)
	}
}

func TestApply_StatusThatComesBackCostsNothing(t *testing.T) {
	e := small(t)
	written := gateway(80)
	written.Status.Addresses = []gatewayv1.GatewayStatusAddress{{Value: "192.0.2.1"}}
	written.ResourceVersion = "2"
	changes := set(t, written)
	result := e.Apply(changes...)
	if len(result.Nodes) != 0 || len(result.Infra) != 0 || len(result.Status) != 1 {
		t.Errorf("got %v", result)
	}
	if e.Object(changes[0].Key) != translate.Object(written) {
		t.Error("the new state of the object is not kept")
	}
	if n := testing.AllocsPerRun(100, func() { e.Apply(changes...) }); n > 20 {
		t.Errorf("%v allocations, so it was translated again", n)
	}
}

// BenchmarkApply_OneRouteOf10k changes one route among 10,000 on one Gateway.
func BenchmarkApply_OneRouteOf10k(b *testing.B) {
	e := engine.New(engine.Options{ControllerName: controllerName})
	changes := set(b, class(controllerName), gateway(80))
	for i := range 10_000 {
		name := fmt.Sprintf("s%d", i%1000)
		if i < 1000 {
			changes = append(changes, set(b, service(name), slice(name, "10.0.0.1"))...)
		}
		changes = append(changes, set(b, route(fmt.Sprintf("r%d", i), fmt.Sprintf("h%d.test", i), name))...)
	}
	e.Apply(changes...)
	versions := [2][]engine.Change{set(b, route("r77", "h77.test", "s1")), set(b, route("r77", "h77.test", "s2"))}
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		if r := e.Apply(versions[i%2]...); len(r.Nodes["gateway/ns/gw"].Upserts) != 1 {
			b.Fatalf("got %v", names(r.Nodes["gateway/ns/gw"]))
		}
	}
}

// BenchmarkApply_First10k translates 10,000 routes from nothing.
func BenchmarkApply_First10k(b *testing.B) {
	changes := set(b, class(controllerName), gateway(80))
	for i := range 10_000 {
		name := fmt.Sprintf("s%d", i%1000)
		changes = append(changes, set(b, service(name), slice(name, "10.0.0.1"), route(fmt.Sprintf("r%d", i), fmt.Sprintf("h%d.test", i), name))...)
	}
	b.ReportAllocs()
	for b.Loop() {
		engine.New(engine.Options{ControllerName: controllerName}).Apply(changes...)
	}
}

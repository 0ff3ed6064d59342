package controller

import (
	"fmt"
	"runtime"
	"testing"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/citoroute/citoroute/api/v1alpha1"
	"github.com/citoroute/citoroute/internal/engine"
	"github.com/citoroute/citoroute/internal/push"
	"github.com/citoroute/citoroute/internal/translate"
)

const (
	manyRoutes     = 500
	manyNamespaces = 200
)

// emptyWorld returns a world that nothing runs.
func emptyWorld(tb testing.TB) *World {
	tb.Helper()
	m, err := newMetrics(prometheus.NewRegistry())
	if err != nil {
		tb.Fatal(err)
	}
	w := newWorld(engine.Options{ControllerName: "example.com/controller", Mesh: true}, logr.Discard(), m)
	w.server = push.NewServer(push.ServerOptions{})
	return w
}

// largeMesh returns a world of so many namespaces in the mesh and, in the first
// of them, 500 Services with a route each.
func largeMesh(tb testing.TB, namespaces int) *World {
	tb.Helper()
	w := emptyWorld(tb)
	for i := range namespaces {
		note(tb, w, meshNamespace(i))
	}
	for i := range manyRoutes {
		s := &corev1.Service{ObjectMeta: ofProducer(i)}
		s.Spec.ClusterIP = fmt.Sprintf("10.96.%d.%d", i/250, i%250)
		s.Spec.Ports = []corev1.ServicePort{{Port: 80}}
		slice := &discoveryv1.EndpointSlice{ObjectMeta: ofProducer(i), Ports: []discoveryv1.EndpointPort{{Port: new(int32(8080))}}}
		slice.Labels = map[string]string{discoveryv1.LabelServiceName: s.Name}
		for j := range 3 {
			slice.Endpoints = append(slice.Endpoints, discoveryv1.Endpoint{Addresses: []string{fmt.Sprintf("10.%d.%d.%d", j, i/250, i%250)}})
		}
		note(tb, w, s, slice, producerRoute(i, "/"))
	}
	w.apply()
	return w
}

// consumers gives every namespace but the producer's a route of its own, each
// for another Service.
func consumers(tb testing.TB, w *World, namespaces int) {
	tb.Helper()
	for i := 1; i < namespaces; i++ {
		r := producerRoute(i, "/own")
		r.Namespace = fmt.Sprintf("n%d", i)
		r.Spec.ParentRefs[0].Namespace = new(gatewayv1.Namespace("n0"))
		r.Spec.Rules[0].BackendRefs[0].Namespace = new(gatewayv1.Namespace("n0"))
		note(tb, w, r)
	}
	w.apply()
}

func note(tb testing.TB, w *World, objects ...translate.Object) {
	tb.Helper()
	for _, o := range objects {
		key, ok := translate.KeyOf(o)
		if !ok {
			tb.Fatalf("%T has no key", o)
		}
		w.note(key, o)
	}
}

func meshNamespace(i int) *corev1.Namespace {
	out := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("n%d", i)}}
	out.Labels = map[string]string{v1alpha1.LabelInjection: v1alpha1.InjectionEnabled}
	return out
}

// ofProducer names an object of the namespace that has the Services.
func ofProducer(i int) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: "n0", Name: fmt.Sprintf("service-%d", i), Generation: 1}
}

// producerRoute is the route of the Service of that number.
func producerRoute(i int, path string) *gatewayv1.HTTPRoute {
	r := &gatewayv1.HTTPRoute{ObjectMeta: ofProducer(i)}
	service := gatewayv1.ObjectName(r.Name)
	r.Spec.ParentRefs = []gatewayv1.ParentReference{{Group: new(gatewayv1.Group("")), Kind: new(gatewayv1.Kind("Service")), Name: service}}
	backend := gatewayv1.HTTPBackendRef{}
	backend.Name, backend.Port = service, new(gatewayv1.PortNumber(80))
	r.Spec.Rules = []gatewayv1.HTTPRouteRule{{
		Matches:     []gatewayv1.HTTPRouteMatch{{Path: &gatewayv1.HTTPPathMatch{Value: &path}}},
		BackendRefs: []gatewayv1.HTTPBackendRef{backend},
	}}
	return r
}

// heap returns the bytes in use.
func heap() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// perNamespace is what a namespace in the mesh may add to the controller's heap:
// its objects and what its configuration differs in, but no copy of the routes.
const perNamespace = 50 << 10

// TestWorld_MeshGrowsWithRoutesAndNotWithNamespaces would see 2.9 MB for each
// namespace that had a copy of its own.
func TestWorld_MeshGrowsWithRoutesAndNotWithNamespaces(t *testing.T) {
	const few, many = 1, 51
	for name, own := range map[string]bool{"ProducersOnly": false, "RoutesOfTheirOwn": true} {
		t.Run(name, func(t *testing.T) {
			held := func(namespaces int) uint64 {
				before := heap()
				w := largeMesh(t, namespaces)
				if own {
					consumers(t, w, namespaces)
				}
				defer runtime.KeepAlive(w)
				return heap() - before
			}
			small, large := held(few), held(many)
			if limit := small + (many-few)*perNamespace; large > limit {
				t.Errorf("%d bytes with %d namespaces and %d with %d, want at most %d", small, few, large, many, limit)
			}
		})
	}
}

// BenchmarkWorld_Mesh changes one producer's route, from the object to what is
// ready to be sent to the sidecars of all namespaces. heap-MB is all that the
// world holds, the objects included.
func BenchmarkWorld_Mesh(b *testing.B) {
	for name, c := range map[string]struct {
		namespaces int
		own        bool
	}{
		"Namespaces1":          {namespaces: 1},
		"Namespaces200":        {namespaces: manyNamespaces},
		"Namespaces200WithOwn": {namespaces: manyNamespaces, own: true},
	} {
		b.Run(name, func(b *testing.B) {
			before := heap()
			w := largeMesh(b, c.namespaces)
			if c.own {
				consumers(b, w, c.namespaces)
			}
			held := heap() - before
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				note(b, w, producerRoute(377, fmt.Sprintf("/v%d", i%2)))
				w.apply()
			}
			b.ReportMetric(float64(held)/1e6, "heap-MB")
			runtime.KeepAlive(w)
		})
	}
}

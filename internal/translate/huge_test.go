package translate_test

import (
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/citoroute/citoroute/internal/engine"
	"github.com/citoroute/citoroute/internal/status"
	"github.com/citoroute/citoroute/internal/translate"
)

// TestTranslate_HugeValues gives every free text of a route and a Gateway two
// megabytes: each is refused with a message of a sane size.
func TestTranslate_HugeValues(t *testing.T) {
	decoder := newDecoder(t)
	base := decode(t, decoder, readFile(t, "testdata/base.yaml"))
	huge := strings.Repeat("a", 2<<20)
	for name, c := range map[string]func(*gatewayv1.HTTPRoute, *gatewayv1.Gateway){
		"Path": func(r *gatewayv1.HTTPRoute, _ *gatewayv1.Gateway) {
			r.Spec.Rules[0].Matches[0].Path.Value = new("/" + huge)
		},
		"PathType": func(r *gatewayv1.HTTPRoute, _ *gatewayv1.Gateway) {
			r.Spec.Rules[0].Matches[0].Path.Type = (*gatewayv1.PathMatchType)(&huge)
		},
		"Hostname": func(r *gatewayv1.HTTPRoute, _ *gatewayv1.Gateway) {
			r.Spec.Hostnames = []gatewayv1.Hostname{gatewayv1.Hostname(huge)}
		},
		"Header": func(r *gatewayv1.HTTPRoute, _ *gatewayv1.Gateway) { r.Spec.Rules[0].Matches[0].Headers[0].Value = huge },
		"HeaderName": func(r *gatewayv1.HTTPRoute, _ *gatewayv1.Gateway) {
			r.Spec.Rules[0].Matches[0].Headers[0].Name = gatewayv1.HTTPHeaderName(huge + " ")
		},
		"Filter": func(r *gatewayv1.HTTPRoute, _ *gatewayv1.Gateway) {
			r.Spec.Rules[0].Filters = []gatewayv1.HTTPRouteFilter{{Type: gatewayv1.HTTPRouteFilterType(huge)}}
		},
		"Backend": func(r *gatewayv1.HTTPRoute, _ *gatewayv1.Gateway) {
			r.Spec.Rules[0].BackendRefs[0].Name = gatewayv1.ObjectName(huge)
		},
		"Timeout": func(r *gatewayv1.HTTPRoute, _ *gatewayv1.Gateway) {
			r.Spec.Rules[0].Timeouts = &gatewayv1.HTTPRouteTimeouts{Request: (*gatewayv1.Duration)(&huge)}
		},
		"Protocol": func(_ *gatewayv1.HTTPRoute, g *gatewayv1.Gateway) {
			g.Spec.Listeners[0].Protocol = gatewayv1.ProtocolType(huge)
		},
		"Listening": func(_ *gatewayv1.HTTPRoute, g *gatewayv1.Gateway) {
			g.Spec.Listeners[0].Hostname = (*gatewayv1.Hostname)(&huge)
		},
		"Address": func(_ *gatewayv1.HTTPRoute, g *gatewayv1.Gateway) {
			g.Spec.Addresses = []gatewayv1.GatewaySpecAddress{{Value: huge}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			gw, route := hugeBase(t, decoder)
			c(route, gw)
			e := engine.New(engine.Options{ControllerName: controllerName})
			e.Apply(base...)
			wrong := 0
			for _, o := range []translate.Object{gw, route} {
				key, _ := translate.KeyOf(o)
				e.Apply(engine.Change{Key: key, Object: o})
			}
			for _, o := range []translate.Object{gw, route} {
				key, _ := translate.KeyOf(o)
				report := e.Report(key)
				for _, f := range report.Findings {
					if f.Status == metav1.ConditionFalse || f.Condition == string(gatewayv1.RouteConditionPartiallyInvalid) {
						wrong++
					}
				}
				updated, _ := status.Compute(o, report, status.Facts{}, metav1.Time{})
				for _, message := range messages(updated) {
					if len(message) > 8192 {
						t.Errorf("%s: a message of %d bytes", key, len(message))
					}
				}
			}
			if wrong == 0 {
				t.Error("no finding")
			}
		})
	}
}

func hugeBase(t *testing.T, decoder runtime.Decoder) (*gatewayv1.Gateway, *gatewayv1.HTTPRoute) {
	t.Helper()
	changes := decode(t, decoder, []byte(`apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: gw, namespace: infra}
spec: {gatewayClassName: citoroute, listeners: [{name: http, port: 80, protocol: HTTP}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: r, namespace: infra}
spec: {parentRefs: [{name: gw}], rules: [{matches: [{path: {type: Exact, value: /}, headers: [{name: a, value: b}]}], backendRefs: [{name: v1, port: 8080}]}]}
`))
	return changes[0].Object.(*gatewayv1.Gateway), changes[1].Object.(*gatewayv1.HTTPRoute)
}

func messages(o translate.Object) []string {
	var out []string
	add := func(conditions []metav1.Condition) {
		for _, c := range conditions {
			out = append(out, c.Message)
		}
	}
	switch o := o.(type) {
	case *gatewayv1.Gateway:
		add(o.Status.Conditions)
		for _, l := range o.Status.Listeners {
			add(l.Conditions)
		}
	case *gatewayv1.HTTPRoute:
		for _, p := range o.Status.Parents {
			add(p.Conditions)
		}
	}
	return out
}

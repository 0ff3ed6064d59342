package status

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
	xv1alpha1 "sigs.k8s.io/gateway-api/apisx/v1alpha1"

	"github.com/citoroute/citoroute/api/v1alpha1"
	"github.com/citoroute/citoroute/internal/translate"
)

const ours = "citoroute.io/gateway-controller"

func at(hour int) metav1.Time {
	return metav1.NewTime(time.Date(2026, 11, 23, hour, 0, 0, 0, time.UTC))
}

func gateway(conditions ...metav1.Condition) *gatewayv1.Gateway {
	gw := &gatewayv1.Gateway{Namespace: "ns", Name: "gw", Generation: 3}
	gw.Status.Conditions = conditions
	return gw
}

func managed(findings ...translate.Finding) translate.Report {
	return translate.Report{ControllerName: ours, Managed: true, Findings: findings, Listeners: []translate.ListenerReport{{Name: "http", AttachedRoutes: 2}}}
}

func lookup(t *testing.T, conditions []metav1.Condition, kind string) metav1.Condition {
	t.Helper()
	i := slices.IndexFunc(conditions, func(c metav1.Condition) bool { return c.Type == kind })
	if i < 0 {
		t.Fatalf("no condition %s in %v", kind, conditions)
	}
	return conditions[i]
}

func TestCompute_GatewayProgrammed(t *testing.T) {
	address := []gatewayv1.GatewayStatusAddress{{Value: "192.0.2.1"}}
	for name, c := range map[string]struct {
		facts           Facts
		findings        []translate.Finding
		gateway, listen string
		message         string
	}{
		"NoAddress":    {facts: Facts{Serving: true}, gateway: "False AddressNotAssigned", listen: "True Programmed"},
		"NotServing":   {facts: Facts{Addresses: address}, gateway: "False Pending", listen: "False Pending"},
		"Unprovided":   {facts: Facts{Addresses: address, Serving: true, Unprovided: "Service x: no"}, gateway: "False Invalid", listen: "True Programmed", message: "Service x: no"},
		"Rejected":     {facts: Facts{Addresses: address, Serving: true, Rejected: "route x: no"}, gateway: "False Invalid", listen: "False Invalid", message: "route x: no"},
		"Programmed":   {facts: Facts{Addresses: address, Serving: true}, gateway: "True Programmed", listen: "True Programmed"},
		"FindingsWin":  {facts: Facts{Addresses: address, Serving: true}, findings: []translate.Finding{{Condition: "Programmed", Status: "False", Reason: "Invalid", Message: "m"}}, gateway: "False Invalid", listen: "True Programmed", message: "m"},
		"ListenerOnly": {facts: Facts{Addresses: address, Serving: true}, findings: []translate.Finding{{Section: "http", Condition: "Programmed", Status: "False", Reason: "Invalid"}}, gateway: "True Programmed", listen: "False Invalid"},
	} {
		t.Run(name, func(t *testing.T) {
			updated, changed := Compute(gateway(), managed(c.findings...), c.facts, at(1))
			if !changed {
				t.Fatal("nothing changed")
			}
			gw := updated.(*gatewayv1.Gateway)
			own := lookup(t, gw.Status.Conditions, "Programmed")
			listener := lookup(t, gw.Status.Listeners[0].Conditions, "Programmed")
			if got := string(own.Status) + " " + own.Reason; got != c.gateway {
				t.Errorf("Gateway: got %s, want %s", got, c.gateway)
			}
			if got := string(listener.Status) + " " + listener.Reason; got != c.listen {
				t.Errorf("listener: got %s, want %s", got, c.listen)
			}
			if !strings.Contains(own.Message, c.message) {
				t.Errorf("message %q does not say %q", own.Message, c.message)
			}
			if own.ObservedGeneration != 3 || gw.Status.Listeners[0].AttachedRoutes != 2 {
				t.Errorf("got generation %d and %d routes, want 3 and 2", own.ObservedGeneration, gw.Status.Listeners[0].AttachedRoutes)
			}
		})
	}
}

func TestCompute_StaticAddresses(t *testing.T) {
	for name, c := range map[string]struct {
		wanted, there []string
		want, message string
	}{
		"All":         {wanted: []string{"192.0.2.1", "2001:DB8::1"}, there: []string{"192.0.2.1", "2001:db8::1"}, want: "True Programmed"},
		"MoreThanAll": {wanted: []string{"192.0.2.1", ""}, there: []string{"192.0.2.1", "192.0.2.2"}, want: "True Programmed"},
		"Some":        {wanted: []string{"192.0.2.1", "203.0.113.9"}, there: []string{"192.0.2.1"}, want: "False AddressNotUsable", message: "does not assign 203.0.113.9;"},
		"None":        {wanted: []string{"192.0.2.1", "203.0.113.9"}, want: "False AddressNotUsable", message: "does not assign 192.0.2.1, 203.0.113.9;"},
		"Another":     {wanted: []string{"192.0.2.1"}, there: []string{"lb.example.com"}, want: "False AddressNotUsable", message: "does not assign 192.0.2.1;"},
		"Any":         {wanted: []string{""}, there: []string{"192.0.2.1"}, want: "True Programmed"},
		"AnyPending":  {wanted: []string{""}, want: "False AddressNotAssigned"},
	} {
		t.Run(name, func(t *testing.T) {
			gw := gateway()
			for _, value := range c.wanted {
				gw.Spec.Addresses = append(gw.Spec.Addresses, gatewayv1.GatewaySpecAddress{Value: value})
			}
			facts := Facts{Serving: true}
			for _, value := range c.there {
				facts.Addresses = append(facts.Addresses, gatewayv1.GatewayStatusAddress{Value: value})
			}
			updated, _ := Compute(gw, managed(), facts, at(1))
			got := updated.(*gatewayv1.Gateway).Status
			programmed := lookup(t, got.Conditions, "Programmed")
			if line := string(programmed.Status) + " " + programmed.Reason; line != c.want {
				t.Errorf("got %s, want %s", line, c.want)
			}
			if !strings.Contains(programmed.Message, c.message) {
				t.Errorf("message %q does not say %q", programmed.Message, c.message)
			}
			if diff := cmp.Diff(facts.Addresses, got.Addresses); diff != "" {
				t.Errorf("status.addresses (-want +got):\n%s", diff)
			}
		})
	}
}

func TestCompute_KeepsTransitionTimesAndForeignConditions(t *testing.T) {
	foreign := metav1.Condition{Type: "example.com/Foreign", Status: "True", Reason: "Seeded", LastTransitionTime: at(0), ObservedGeneration: 1}
	gw := gateway(
		metav1.Condition{Type: "Accepted", Status: "True", Reason: "Old", LastTransitionTime: at(0)},
		metav1.Condition{Type: "ResolvedRefs", Status: "False", Reason: "Old", LastTransitionTime: at(0)},
		metav1.Condition{Type: "InsecureFrontendValidationMode", Status: "True", Reason: "ConfigurationChanged", LastTransitionTime: at(0)},
		foreign,
	)
	updated, _ := Compute(gw, managed(), Facts{}, at(5))
	conditions := updated.(*gatewayv1.Gateway).Status.Conditions
	if got := lookup(t, conditions, "Accepted"); !got.LastTransitionTime.Equal(new(at(0))) || got.Reason != "Accepted" {
		t.Errorf("a condition that kept its status changed its time: %v", got)
	}
	if got := lookup(t, conditions, "ResolvedRefs"); !got.LastTransitionTime.Equal(new(at(5))) {
		t.Errorf("a condition that changed its status kept its time: %v", got)
	}
	if diff := cmp.Diff(foreign, lookup(t, conditions, foreign.Type)); diff != "" {
		t.Errorf("foreign condition (-want +got):\n%s", diff)
	}
	if slices.ContainsFunc(conditions, func(c metav1.Condition) bool { return c.Type == "InsecureFrontendValidationMode" }) {
		t.Error("a condition of ours that no longer holds is still there")
	}
	if _, again := Compute(updated, managed(), Facts{}, at(9)); again {
		t.Error("the same again changes the status")
	}
	if gw.Status.Conditions[0].Reason != "Old" {
		t.Error("the object itself was changed")
	}
}

func TestCompute_LeavesAloneWhatIsNotOurs(t *testing.T) {
	unmanaged := translate.Report{ControllerName: ours}
	for name, o := range map[string]translate.Object{
		"GatewayClass": &gatewayv1.GatewayClass{},
		"Gateway":      gateway(metav1.Condition{Type: "Accepted", Status: "False"}),
		"ListenerSet":  &gatewayv1.ListenerSet{},
		"Service":      &corev1.Service{},
		"HTTPRoute": &gatewayv1.HTTPRoute{Status: gatewayv1.HTTPRouteStatus{RouteStatus: gatewayv1.RouteStatus{
			Parents: []gatewayv1.RouteParentStatus{{ControllerName: "example.com/other"}},
		}}},
	} {
		t.Run(name, func(t *testing.T) {
			if got, changed := Compute(o, unmanaged, Facts{Serving: true}, at(1)); changed {
				t.Errorf("changed: %v", got)
			}
		})
	}
}

func TestCompute_RouteParents(t *testing.T) {
	a, b := gatewayv1.ParentReference{Name: "a"}, gatewayv1.ParentReference{Name: "b"}
	route := &gatewayv1.HTTPRoute{}
	route.Status.Parents = []gatewayv1.RouteParentStatus{
		{ParentRef: gatewayv1.ParentReference{Name: "x"}, ControllerName: "example.com/other"},
		{ParentRef: gatewayv1.ParentReference{Name: "former"}, ControllerName: ours},
	}
	report := translate.Report{ControllerName: ours, Managed: true, Parents: []gatewayv1.ParentReference{a, b}, Findings: []translate.Finding{
		{Parent: &b, Condition: "Accepted", Status: "False", Reason: "NoMatchingParent", Message: "one"},
		{Parent: &b, Condition: "Accepted", Status: "False", Reason: "Later", Message: "two"},
	}}
	updated, _ := Compute(route, report, Facts{}, at(1))
	var got []string
	for _, p := range updated.(*gatewayv1.HTTPRoute).Status.Parents {
		line := string(p.ControllerName) + " " + string(p.ParentRef.Name)
		for _, c := range p.Conditions {
			line += " " + c.Type + "=" + string(c.Status) + " " + c.Reason + ":" + c.Message
		}
		got = append(got, line)
	}
	want := []string{
		ours + " a Accepted=True Accepted: ResolvedRefs=True ResolvedRefs:",
		ours + " b Accepted=False NoMatchingParent:one; two ResolvedRefs=True ResolvedRefs:",
		"example.com/other x",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestCompute_LimitsListsAndMessages(t *testing.T) {
	report := translate.Report{ControllerName: ours, Managed: true}
	for range 40 {
		report.Parents = append(report.Parents, gatewayv1.ParentReference{Name: gatewayv1.ObjectName(strings.Repeat("a", len(report.Parents)+1))})
	}
	for i := range 40 {
		report.Findings = append(report.Findings, translate.Finding{Parent: &report.Parents[0], Condition: "Accepted", Status: "False", Reason: "R", Message: strings.Repeat("é", 1000+i)})
	}
	route, _ := Compute(&gatewayv1.HTTPRoute{}, report, Facts{}, at(1))
	parents := route.(*gatewayv1.HTTPRoute).Status.Parents
	t.Run("GW-021 parents", func(t *testing.T) {
		if len(parents) != maxParents {
			t.Errorf("got %d parents, want %d", len(parents), maxParents)
		}
	})
	t.Run("GW-021 message", func(t *testing.T) {
		if n := len(lookup(t, parents[0].Conditions, "Accepted").Message); n > maxMessage+4 {
			t.Errorf("the message has %d bytes", n)
		}
	})
	t.Run("GW-021 ancestors", func(t *testing.T) {
		policy, _ := Compute(&gatewayv1.BackendTLSPolicy{}, report, Facts{}, at(1))
		if n := len(policy.(*gatewayv1.BackendTLSPolicy).Status.Ancestors); n != maxAncestors {
			t.Errorf("got %d ancestors, want %d", n, maxAncestors)
		}
	})
	t.Run("GW-021 nothing is written twice", func(t *testing.T) {
		if _, again := Compute(route, report, Facts{}, at(2)); again {
			t.Error("the same report changes the status again")
		}
	})
}

func TestCompute_OwnKinds(t *testing.T) {
	finding := translate.Finding{Condition: "ResolvedRefs", Status: "False", Reason: "CredentialsNotFound", Message: "m"}
	backend, _ := Compute(&v1alpha1.LLMBackend{}, managed(finding), Facts{}, at(1))
	if got := lookup(t, backend.(*v1alpha1.LLMBackend).Status.Conditions, "ResolvedRefs"); got.Reason != "CredentialsNotFound" {
		t.Errorf("LLMBackend: %v", got)
	}
	consumer, _ := Compute(&v1alpha1.Consumer{}, managed(), Facts{}, at(1))
	if got := consumer.(*v1alpha1.Consumer).Status.Conditions; len(got) != 2 || got[0].Type != "Accepted" || got[1].Type != "ResolvedRefs" {
		t.Errorf("Consumer: %v", got)
	}
}

func TestCompute_XMesh(t *testing.T) {
	o, _ := Compute(&xv1alpha1.XMesh{}, managed(), Facts{}, at(1))
	ours := o.(*xv1alpha1.XMesh).Status
	if got := lookup(t, ours.Conditions, "Accepted"); got.Status != metav1.ConditionTrue || len(ours.SupportedFeatures) == 0 {
		t.Errorf("ours: %v", ours)
	}
	if _, changed := Compute(&xv1alpha1.XMesh{}, translate.Report{}, Facts{}, at(1)); changed {
		t.Error("another controller's is changed")
	}
}

func TestSupportedFeatures_FitTheAPI(t *testing.T) {
	for name, features := range map[string][]gatewayv1.SupportedFeature{"Gateways": SupportedFeatures(), "Mesh": MeshFeatures()} {
		t.Run(name, func(t *testing.T) { fitTheAPI(t, features) })
	}
}

func fitTheAPI(t *testing.T, features []gatewayv1.SupportedFeature) {
	t.Helper()
	if len(features) > 64 {
		t.Errorf("%d features; the API allows 64", len(features))
	}
	if !slices.IsSortedFunc(features, func(a, b gatewayv1.SupportedFeature) int { return strings.Compare(string(a.Name), string(b.Name)) }) {
		t.Error("not sorted")
	}
	for i := 1; i < len(features); i++ {
		if features[i] == features[i-1] {
			t.Errorf("%s is there twice", features[i].Name)
		}
	}
}

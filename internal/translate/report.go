package translate

import (
	"reflect"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// Finding says that one condition of an object differs from its default.
type Finding struct {
	// Parent is the parentRef (routes) or ancestor (policies) that the finding
	// is about; nil: the object itself.
	Parent *gatewayv1.ParentReference
	// Section is the listener that the finding is about; empty: the object itself.
	Section   string
	Condition string
	Status    metav1.ConditionStatus
	Reason    string
	// Message names the field, what was found and what to do.
	Message string
}

// ListenerReport is what translation knows of one listener of a Gateway or
// ListenerSet.
type ListenerReport struct {
	Name           gatewayv1.SectionName
	SupportedKinds []gatewayv1.RouteGroupKind
	// AttachedRoutes counts the routes that are bound to the listener.
	AttachedRoutes int32
}

// Report is everything that translation has to say about one object. Status is
// made from it.
type Report struct {
	// ControllerName is ours. Status entries of other controllers are kept.
	ControllerName gatewayv1.GatewayController
	// Managed says that the object is ours to report on: its class is, or it
	// belongs to an object whose class is, or it is of our own API group.
	Managed bool
	// Parents are the parentRefs or ancestors, in order, that are ours to report on.
	Parents   []gatewayv1.ParentReference
	Listeners []ListenerReport
	// AttachedListenerSets counts the ListenerSets that a Gateway accepted.
	AttachedListenerSets int32
	Findings             []Finding
}

// Merge returns a report that says what both say. The receiver is not changed.
func (r Report) Merge(o Report) Report {
	out := Report{
		ControllerName:       r.ControllerName,
		Managed:              r.Managed || o.Managed,
		Parents:              slices.Clone(r.Parents),
		Listeners:            slices.Concat(r.Listeners, o.Listeners),
		AttachedListenerSets: r.AttachedListenerSets + o.AttachedListenerSets,
		Findings:             slices.Concat(r.Findings, o.Findings),
	}
	for _, p := range o.Parents {
		if !slices.ContainsFunc(out.Parents, func(q gatewayv1.ParentReference) bool { return reflect.DeepEqual(p, q) }) {
			out.Parents = append(out.Parents, p)
		}
	}
	return out
}

func (r *Report) add(f Finding) { r.Findings = append(r.Findings, f) }

// deny notes that a condition of the object is false.
func deny[C, R ~string](r *Report, condition C, reason R, message string) {
	r.add(Finding{Condition: string(condition), Status: metav1.ConditionFalse, Reason: string(reason), Message: message})
}

func (r *Report) addListener(l *listener) {
	r.Listeners = append(r.Listeners, ListenerReport{Name: l.spec.Name, SupportedKinds: l.kinds})
	r.Findings = append(r.Findings, l.findings...)
}

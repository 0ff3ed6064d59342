package translate

import (
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// listenerSet is a ListenerSet of the Gateway that is being translated.
type listenerSet struct {
	key     Key
	object  *gatewayv1.ListenerSet
	report  Report
	allowed bool // by the Gateway's allowedListeners
}

// GatewayOf returns the key of the Gateway that a ListenerSet names as parent.
func GatewayOf(set *gatewayv1.ListenerSet) Key {
	ref := set.Spec.ParentRef
	key := Key{Kind: KindGateway, Namespace: set.Namespace, Name: string(ref.Name)}
	if ref.Namespace != nil {
		key.Namespace = string(*ref.Namespace)
	}
	return key
}

// addListenerSets adds the listeners of all ListenerSets that the Gateway lets
// in: the oldest set first, then by namespace and name (GEP-1713).
func (t *gatewayTranslation) addListenerSets() {
	for _, object := range oldestFirst[*gatewayv1.ListenerSet](t.reader, Bucket{Relation: ListenerSetsOf, Namespace: t.key.Namespace, Name: t.key.Name}) {
		set := &listenerSet{key: Key{KindListenerSet, object.Namespace, object.Name}, object: object}
		set.report = Report{ControllerName: t.report.ControllerName, Managed: true}
		t.sets = append(t.sets, set)
		var reason gatewayv1.ListenerSetConditionReason
		var message string
		switch {
		case !t.allowsListenersFrom(object.Namespace):
			reason = gatewayv1.ListenerSetReasonNotAllowed
			message = fmt.Sprintf("Gateway %s/%s: spec.allowedListeners does not let ListenerSets from namespace %s in", t.key.Namespace, t.key.Name, object.Namespace)
		case !t.served:
			reason, message = gatewayv1.ListenerSetReasonParentNotAccepted, t.notAccepted()
		default:
			set.allowed = true
			entries := make([]gatewayv1.Listener, 0, len(object.Spec.Listeners))
			for _, entry := range object.Spec.Listeners {
				entries = append(entries, gatewayv1.Listener(entry))
			}
			t.addListeners(set.key, entries, &set.report)
			continue
		}
		set.refuse(reason, message)
	}
}

// notAccepted says so in the status of a ListenerSet.
func (t *gatewayTranslation) notAccepted() string {
	return fmt.Sprintf("Gateway %s/%s is not accepted; see its conditions", t.key.Namespace, t.key.Name)
}

// refuse sets the ListenerSet's conditions to False.
func (s *listenerSet) refuse(reason gatewayv1.ListenerSetConditionReason, message string) {
	for _, condition := range []gatewayv1.ListenerSetConditionType{gatewayv1.ListenerSetConditionAccepted, gatewayv1.ListenerSetConditionProgrammed} {
		s.report.add(Finding{Condition: string(condition), Status: metav1.ConditionFalse, Reason: string(reason), Message: message})
	}
}

// closedListeners returns the listeners of a set that is not in force: routes
// learn that they exist and take nothing.
func (s *listenerSet) closedListeners() []ParentListener {
	var out []ParentListener
	for _, l := range s.object.Spec.Listeners {
		out = append(out, ParentListener{Section: string(l.Name), Port: l.Port})
	}
	return out
}

func (t *gatewayTranslation) allowsListenersFrom(namespace string) bool {
	allowed := t.gateway.Spec.AllowedListeners
	if allowed == nil || allowed.Namespaces == nil || allowed.Namespaces.From == nil {
		return false
	}
	return namespaceAllowed(t.reader, *allowed.Namespaces.From, allowed.Namespaces.Selector, t.key.Namespace, namespace)
}

// namespaceAllowed says whether objects from a namespace may attach to an
// object in namespace own.
func namespaceAllowed(r Reader, from gatewayv1.FromNamespaces, selector *metav1.LabelSelector, own, namespace string) bool {
	switch from {
	case gatewayv1.NamespacesFromAll:
		return true
	case gatewayv1.NamespacesFromSame:
		return own == namespace
	case gatewayv1.NamespacesFromSelector:
		s, err := metav1.LabelSelectorAsSelector(selector)
		ns := r.Get(Key{Kind: KindNamespace, Name: namespace})
		return err == nil && ns != nil && s.Matches(labels.Set(ns.GetLabels()))
	default:
		return false
	}
}

// valid says whether a listener keeps its ListenerSet accepted.
func (l *listener) valid() bool { return l.accepted && l.served }

// acceptedSets counts the ListenerSets with at least one valid listener.
func (t *gatewayTranslation) acceptedSets() (count int32) {
	seen := map[Key]bool{}
	for _, l := range t.listeners {
		if l.owner != t.key && l.valid() && !seen[l.owner] {
			seen[l.owner] = true
			count++
		}
	}
	return count
}

// summarizeSet derives a ListenerSet's own conditions from those of its
// listeners.
func (t *gatewayTranslation) summarizeSet(set *listenerSet) {
	var valid, all int
	for _, l := range t.listeners {
		if l.owner != set.key {
			continue
		}
		all++
		if l.valid() {
			valid++
		}
		set.report.addListener(l)
	}
	message := fmt.Sprintf("%d of %d listeners are not valid; see their conditions", all-valid, all)
	switch {
	case !t.accepted:
		set.refuse(gatewayv1.ListenerSetReasonParentNotAccepted, t.notAccepted())
	case valid == all:
	case valid == 0:
		set.refuse(gatewayv1.ListenerSetReasonListenersNotValid, message)
	default:
		set.report.add(Finding{
			Condition: string(gatewayv1.ListenerSetConditionAccepted), Status: metav1.ConditionTrue,
			Reason: string(gatewayv1.ListenerSetReasonListenersNotValid), Message: message,
		})
	}
}

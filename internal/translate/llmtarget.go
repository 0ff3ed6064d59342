package translate

import (
	"fmt"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/citoroute/citoroute/api/v1alpha1"
)

// llmPolicy is a kind of policy that targets Gateways and LLMRoutes.
type llmPolicy interface {
	*v1alpha1.LLMLimitPolicy | *v1alpha1.LLMPriceTable
	Object
}

// llmTargets returns what a policy targets; nil for an object that is none.
func llmTargets(o Object) []gatewayv1.LocalPolicyTargetReferenceWithSectionName {
	switch o := o.(type) {
	case *v1alpha1.LLMLimitPolicy:
		return o.Spec.TargetRefs
	case *v1alpha1.LLMPriceTable:
		return o.Spec.TargetRefs
	}
	return nil
}

// llmTargetKey returns the Gateway or LLMRoute that ref means; ok is false for
// anything else.
func llmTargetKey(namespace string, ref gatewayv1.LocalPolicyTargetReferenceWithSectionName) (key Key, ok bool) {
	key = Key{Kind(ref.Kind), namespace, string(ref.Name)}
	ok = key.Kind == KindGateway || key.Kind == KindLLMRoute
	return key, ok && string(ref.Group) == groupOf(key.Kind)
}

// llmPolicies returns the policies of a kind that target a Gateway or LLMRoute
// or, with section, only that listener of it; the oldest first.
func llmPolicies[P llmPolicy](r Reader, target Key, section string) []P {
	all := oldestFirst[P](r, Bucket{Relation: LLMPoliciesFor, Namespace: target.Namespace, Name: target.Name})
	return slices.DeleteFunc(all, func(policy P) bool {
		return !slices.ContainsFunc(llmTargets(policy), func(ref gatewayv1.LocalPolicyTargetReferenceWithSectionName) bool {
			key, _ := llmTargetKey(target.Namespace, ref)
			return key == target && string(deref(ref.SectionName, "")) == section
		})
	})
}

// llmPolicyBuckets returns the buckets of a policy.
func llmPolicyBuckets(o Object) []Bucket {
	var out []Bucket
	for _, ref := range llmTargets(o) {
		key, ok := llmTargetKey(o.GetNamespace(), ref)
		b := Bucket{Relation: LLMPoliciesFor, Namespace: key.Namespace, Name: key.Name}
		if ok && !slices.Contains(out, b) {
			out = append(out, b)
		}
	}
	return out
}

// limitsFor returns the names of the policies that limit a target.
func limitsFor(r Reader, target Key, section string) []string {
	var out []string
	for _, policy := range llmPolicies[*v1alpha1.LLMLimitPolicy](r, target, section) {
		out = append(out, objectName(prefixLimits, Key{KindLLMLimitPolicy, policy.Namespace, policy.Name}))
	}
	return out
}

// pricesFor returns the name of the price table in force for a target; empty:
// there is none.
func pricesFor(r Reader, target Key, section string) string {
	tables := llmPolicies[*v1alpha1.LLMPriceTable](r, target, section)
	if len(tables) == 0 {
		return ""
	}
	return objectName(prefixPrices, Key{KindLLMPriceTable, tables[0].Namespace, tables[0].Name})
}

// applyLLMPolicies gives every listener its limits, those for the listener
// itself and those for the whole Gateway, and the closest price table.
func (t *gatewayTranslation) applyLLMPolicies() {
	limits, prices := limitsFor(t.reader, t.key, ""), pricesFor(t.reader, t.key, "")
	for _, l := range t.listeners {
		l.limits, l.prices = limits, prices
		if l.owner != t.key {
			continue
		}
		for _, name := range limitsFor(t.reader, t.key, string(l.spec.Name)) {
			if !slices.Contains(limits, name) {
				l.limits = append(slices.Clip(l.limits), name)
			}
		}
		if own := pricesFor(t.reader, t.key, string(l.spec.Name)); own != "" {
			l.prices = own
		}
	}
}

// reportTargets reports on a policy for each of its targets that is ours:
// findings hold for all of them; check finds what else is wrong with one of
// spec.targetRefs, if anything is.
func reportTargets(r Reader, o Object, findings []Finding, check func(target Key, section, field string) *Finding) Report {
	var report Report
	at := map[Key]*gatewayv1.ParentReference{}
	for i, ref := range llmTargets(o) {
		target, ok := llmTargetKey(o.GetNamespace(), ref)
		if !ok || target.Kind == KindGateway && r.Parent(target) == nil {
			continue
		}
		if at[target] == nil {
			parent := asAncestor(groupOf(target.Kind), target)
			at[target] = &parent
			report.Parents = append(report.Parents, parent)
			for _, f := range findings {
				f.Parent = &parent
				report.add(f)
			}
		}
		section, field := string(deref(ref.SectionName, "")), fmt.Sprintf("spec.targetRefs[%d]", i)
		found := targetNotFound(r, target, section, field)
		if found == nil {
			found = check(target, section, field)
		}
		if found != nil {
			found.Parent = at[target]
			report.add(*found)
		}
	}
	return report
}

// targetNotFound says that a target is not there; nil: it is.
func targetNotFound(r Reader, target Key, section, field string) *Finding {
	message := ""
	if target.Kind == KindLLMRoute {
		if get[v1alpha1.LLMRoute](r, target) == nil {
			message = fmt.Sprintf("%s: %s does not exist", field, target)
		}
	} else if section != "" && !slices.ContainsFunc(r.Parent(target).Listeners, func(l ParentListener) bool { return l.Section == section }) {
		message = fmt.Sprintf("%s: %s has no listener named %q", field, target, short(section))
	}
	if message == "" {
		return nil
	}
	return notAccepted(string(gatewayv1.PolicyReasonTargetNotFound), message)
}

func notAccepted(reason, message string) *Finding {
	return &Finding{Condition: string(gatewayv1.PolicyConditionAccepted), Status: metav1.ConditionFalse, Reason: reason, Message: message}
}

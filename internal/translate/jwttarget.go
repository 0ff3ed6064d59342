package translate

import (
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/citoroute/citoroute/api/v1alpha1"
)

// A listener is protected by the policy that targets it, else by the one that
// targets its Gateway: both are of the Gateway's owner. A route's policy comes
// on top of that, since whoever has a route must not be able to take away what
// the Gateway's owner demands. Of two policies for the same target the older is
// in force (GEP-713).

// jwtTarget returns what a policy in a namespace targets, and false for a kind
// that it cannot protect.
func jwtTarget(namespace string, ref gatewayv1.LocalPolicyTargetReferenceWithSectionName) (Key, bool) {
	kind := Kind(ref.Kind)
	supported := slices.Contains([]Kind{KindGateway, KindHTTPRoute, KindGRPCRoute, KindLLMRoute}, kind)
	return Key{kind, namespace, string(ref.Name)}, supported && string(ref.Group) == groupOf(kind)
}

// applyPolicies gives every listener its JWTValidationPolicy.
func (t *gatewayTranslation) applyPolicies() {
	winners := jwtWinners(t.reader, t.key)
	for _, l := range t.listeners {
		policy := winners[""]
		if own := winners[string(l.spec.Name)]; own != nil && l.owner == t.key {
			policy = own
		}
		if policy != nil {
			l.policies = []string{jwtName(policy)}
		}
	}
}

// protect gives every rule of a route its JWTValidationPolicy.
func (t *route) protect(r Reader) {
	policy := jwtWinners(r, t.key)[""]
	if policy == nil {
		return
	}
	for i := range t.rules {
		t.rules[i].Policies = []string{jwtName(policy)}
	}
}

// jwtName returns the name of a policy's resource.
func jwtName(policy *v1alpha1.JWTValidationPolicy) string {
	return objectName(prefixJWT, Key{KindJWTPolicy, policy.Namespace, policy.Name})
}

// jwtWinners returns the policies in force for a target: for the whole of it
// (""), and for sections of it.
func jwtWinners(r Reader, target Key) map[string]*v1alpha1.JWTValidationPolicy {
	winners := map[string]*v1alpha1.JWTValidationPolicy{}
	for _, policy := range oldestFirst[*v1alpha1.JWTValidationPolicy](r, Bucket{Relation: JWTPoliciesFor, Namespace: target.Namespace, Name: target.Name}) {
		for _, ref := range policy.Spec.TargetRefs {
			section := string(deref(ref.SectionName, ""))
			if key, ok := jwtTarget(policy.Namespace, ref); ok && key == target && winners[section] == nil {
				winners[section] = policy
			}
		}
	}
	return winners
}

// jwtReport collects what there is to say about a policy, for each ancestor.
type jwtReport struct {
	reader Reader
	policy *v1alpha1.JWTValidationPolicy
	report *Report
	// general findings hold for every ancestor.
	general []Finding
}

// reportJWT reports on a policy for each Gateway of ours that it protects. A
// target that there is not, or that cannot be protected, is its own ancestor,
// for it has no Gateway.
func reportJWT(r Reader, key Key, policy *v1alpha1.JWTValidationPolicy, report *Report) {
	j := jwtReport{reader: r, policy: policy, report: report}
	_, j.general = jwtProviders(r, key, policy)
	for i, ref := range policy.Spec.TargetRefs {
		field := fmt.Sprintf("spec.targetRefs[%d]", i)
		target, ok := jwtTarget(key.Namespace, ref)
		section := string(deref(ref.SectionName, ""))
		switch {
		case !ok:
			j.refuse(asAncestor(string(ref.Group), target), gatewayv1.PolicyReasonInvalid, fmt.Sprintf(
				"%s: %s in group %q cannot be protected; target a Gateway, HTTPRoute, GRPCRoute or LLMRoute", field, short(string(ref.Kind)), short(string(ref.Group))))
		case section != "" && target.Kind != KindGateway:
			j.refuse(asAncestor(groupOf(target.Kind), target), gatewayv1.PolicyReasonInvalid, field+".sectionName: a route is protected as a whole; remove the field")
		case r.Get(target) == nil:
			j.refuse(asAncestor(groupOf(target.Kind), target), gatewayv1.PolicyReasonTargetNotFound, fmt.Sprintf("%s: %s does not exist", field, target))
		case target.Kind == KindGateway:
			j.gateway(target, section, field)
		default:
			j.route(target, field)
		}
	}
}

// gateway reports on a Gateway as target, if it is ours.
func (j *jwtReport) gateway(target Key, section, field string) {
	parent := j.reader.Parent(target)
	if parent == nil {
		return
	}
	at := ancestor(target)
	if section != "" && !slices.ContainsFunc(parent.Listeners, func(l ParentListener) bool { return l.Section == section }) {
		j.refuse(at, gatewayv1.PolicyReasonTargetNotFound, fmt.Sprintf("%s: %s has no listener named %q", field, target, short(section)))
		return
	}
	winners := jwtWinners(j.reader, target)
	if j.conflict(at, winners[section], field) || section != "" {
		return
	}
	var own []string
	for _, l := range parent.Listeners {
		if winner := winners[l.Section]; winner != nil && winner.Name != j.policy.Name {
			own = append(own, fmt.Sprintf("%s (%s/%s)", l.Section, winner.Namespace, winner.Name))
		}
	}
	if len(own) > 0 {
		j.note(at, field+": not in force on listeners that have a policy of their own: "+strings.Join(own, ", "))
	}
}

// route reports on a route as target, for each Gateway of ours and each Service
// that it is attached to.
func (j *jwtReport) route(target Key, field string) {
	winner := jwtWinners(j.reader, target)[""]
	seen := map[Key]bool{}
	for _, ref := range parentRefsOf(j.reader.Get(target)) {
		key, ok := parentKey(ref, target.Namespace)
		if !ok || key.Kind == KindService && !routesServices(target.Kind) {
			continue
		}
		parent := j.reader.Parent(key)
		if parent == nil || seen[parent.Root] {
			continue
		}
		seen[parent.Root] = true
		at := asAncestor(groupOf(parent.Root.Kind), parent.Root)
		if !j.conflict(at, winner, field) && len(jwtWinners(j.reader, parent.Root)) > 0 {
			j.note(at, fmt.Sprintf("%s: %s has a policy too; a request must satisfy both", field, parent.Root))
		}
	}
}

// conflict reports that another policy is in force, if so. Otherwise it sees to
// it that the ancestor is in the report.
func (j *jwtReport) conflict(at gatewayv1.ParentReference, winner *v1alpha1.JWTValidationPolicy, field string) bool {
	if winner == nil || winner.Name == j.policy.Name {
		j.at(at)
		return false
	}
	j.refuse(at, gatewayv1.PolicyReasonConflicted, fmt.Sprintf("%s: JWTValidationPolicy %s/%s is older and targets the same; delete one", field, winner.Namespace, winner.Name))
	return true
}

func (j *jwtReport) refuse(at gatewayv1.ParentReference, reason gatewayv1.PolicyConditionReason, message string) {
	j.report.add(Finding{Parent: j.at(at), Condition: string(gatewayv1.PolicyConditionAccepted), Status: metav1.ConditionFalse, Reason: string(reason), Message: message})
}

// note adds to what is said of a policy that is in force.
func (j *jwtReport) note(at gatewayv1.ParentReference, message string) {
	j.report.add(Finding{
		Parent: j.at(at), Condition: string(gatewayv1.PolicyConditionAccepted), Status: metav1.ConditionTrue,
		Reason: string(gatewayv1.PolicyReasonAccepted), Message: message,
	})
}

// at returns an ancestor of the report; a new one gets the general findings.
func (j *jwtReport) at(ref gatewayv1.ParentReference) *gatewayv1.ParentReference {
	if !slices.ContainsFunc(j.report.Parents, func(p gatewayv1.ParentReference) bool { return sameParent(p, ref) }) {
		j.report.Parents = append(j.report.Parents, ref)
		for _, f := range j.general {
			f.Parent = &ref
			j.report.add(f)
		}
	}
	return &ref
}

// sameParent compares references that are complete.
func sameParent(a, b gatewayv1.ParentReference) bool {
	return *a.Group == *b.Group && *a.Kind == *b.Kind && *a.Namespace == *b.Namespace && a.Name == b.Name
}

// asAncestor returns the reference by which a policy reports on an object.
func asAncestor(group string, key Key) gatewayv1.ParentReference {
	g, kind, namespace := gatewayv1.Group(group), gatewayv1.Kind(key.Kind), gatewayv1.Namespace(key.Namespace)
	return gatewayv1.ParentReference{Group: &g, Kind: &kind, Namespace: &namespace, Name: gatewayv1.ObjectName(key.Name)}
}

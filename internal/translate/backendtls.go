package translate

import (
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/citoroute/citoroute/internal/ir"
)

// tlsToBackend is how TLS to a Service port is done. One that is not usable
// must not be replaced by plain text: the backend must not be reached.
type tlsToBackend struct {
	client ir.ClientTLS
	usable bool
}

// backendTLS finds the BackendTLSPolicy that is in force for a port of a
// Service, nil if there is none, and reports on all that target it. The policy
// for the port itself wins over one for the whole Service, and of two for the
// same the older wins; the other is in conflict.
func backendTLS(r Reader, service Key, portName string, at gatewayv1.ParentReference, options Options) (*tlsToBackend, []ObjectReport) {
	winners := map[string]*gatewayv1.BackendTLSPolicy{}
	var out *tlsToBackend
	var reports []ObjectReport
	for _, policy := range oldestFirst[*gatewayv1.BackendTLSPolicy](r, Bucket{Relation: BackendTLSPoliciesFor, Namespace: service.Namespace, Name: service.Name}) {
		sections := targetedSections(policy, service.Name, portName)
		if len(sections) == 0 {
			continue
		}
		key := Key{KindBackendTLSPolicy, policy.Namespace, policy.Name}
		report := Report{ControllerName: gatewayv1.GatewayController(options.ControllerName), Managed: true, Parents: []gatewayv1.ParentReference{at}}
		tls := checkPolicy(r, key, policy, &report)
		for _, section := range sections {
			if first := winners[section]; first != nil {
				deny(&report, gatewayv1.PolicyConditionAccepted, gatewayv1.PolicyReasonConflicted,
					fmt.Sprintf("spec.targetRefs: BackendTLSPolicy %s/%s is older and targets the same port of Service %s; delete one", first.Namespace, first.Name, service.Name))
				continue
			}
			winners[section] = policy
			if out == nil || section != "" {
				out = tls
			}
		}
		report.concern(&report.Parents[0])
		reports = append(reports, ObjectReport{key, report})
	}
	return out, reports
}

// concern makes every finding one about a parent.
func (r *Report) concern(parent *gatewayv1.ParentReference) {
	for i := range r.Findings {
		r.Findings[i].Parent = parent
	}
}

// targetedSections returns how a policy targets a port of a Service: by name,
// by "" for the whole Service, both or neither.
func targetedSections(policy *gatewayv1.BackendTLSPolicy, service, portName string) []string {
	var out []string
	for _, ref := range policy.Spec.TargetRefs {
		section := string(deref(ref.SectionName, ""))
		if targetsService(ref, service) && (section == "" || section == portName) {
			out = append(out, section)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func targetsService(ref gatewayv1.LocalPolicyTargetReferenceWithSectionName, service string) bool {
	return ref.Group == corev1.GroupName && ref.Kind == gatewayv1.Kind(KindService) && string(ref.Name) == service
}

// ancestor returns the reference to a Gateway that policies report on.
func ancestor(gateway Key) gatewayv1.ParentReference {
	return asAncestor(gatewayv1.GroupName, gateway)
}

// checkPolicy resolves what a policy refers to.
func checkPolicy(r Reader, key Key, policy *gatewayv1.BackendTLSPolicy, report *Report) *tlsToBackend {
	v := policy.Spec.Validation
	host, hostOK := normalizeHost(string(v.Hostname))
	out := &tlsToBackend{client: ir.ClientTLS{ServerName: host, CAs: resolvePolicyCAs(r, key, v.CACertificateRefs, report)}}
	for _, san := range v.SubjectAltNames {
		out.client.SubjectAltNames = append(out.client.SubjectAltNames, ir.SANMatch{Hostname: string(san.Hostname), URI: string(san.URI)})
	}
	refuse := func(reason gatewayv1.PolicyConditionReason, message string) {
		deny(report, gatewayv1.PolicyConditionAccepted, reason, message)
	}
	wellKnown := v.WellKnownCACertificates
	switch {
	case !hostOK:
		refuse(gatewayv1.PolicyReasonInvalid, fmt.Sprintf("spec.validation.hostname: %q is not a DNS name", short(string(v.Hostname))))
	case wellKnown != nil && *wellKnown != gatewayv1.WellKnownCACertificatesSystem:
		refuse(gatewayv1.PolicyReasonInvalid, fmt.Sprintf("spec.validation.wellKnownCACertificates: %q is not supported; use %q", short(string(*wellKnown)), gatewayv1.WellKnownCACertificatesSystem))
	case wellKnown != nil && len(v.CACertificateRefs) == 0:
		out.client.SystemCAs, out.usable = true, true
	case len(out.client.CAs) == 0:
		refuse(gatewayv1.BackendTLSPolicyReasonNoValidCACertificate, "spec.validation: no CA certificate can be used, so the backend is not reached; see condition ResolvedRefs")
	default:
		out.usable = true
	}
	return out
}

// resolvePolicyCAs returns the names of the resources that hold a policy's
// certificate authorities, as far as they can be used.
func resolvePolicyCAs(r Reader, key Key, refs []gatewayv1.LocalObjectReference, report *Report) []string {
	var out []string
	for i, ref := range refs {
		name, p := resolveCA(r, key, gatewayv1.ObjectReference{Group: ref.Group, Kind: ref.Kind, Name: ref.Name}, fmt.Sprintf("spec.validation.caCertificateRefs[%d]", i))
		switch {
		case p == nil:
			out = append(out, name)
		case p.reason == string(gatewayv1.ListenerReasonInvalidCACertificateKind):
			deny(report, gatewayv1.BackendTLSPolicyConditionResolvedRefs, gatewayv1.BackendTLSPolicyReasonInvalidKind, p.message)
		default:
			deny(report, gatewayv1.BackendTLSPolicyConditionResolvedRefs, gatewayv1.BackendTLSPolicyReasonInvalidCACertificateRef, p.message)
		}
	}
	return out
}

package translate

import (
	"crypto/tls"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/citoroute/citoroute/api/v1alpha1"
	"github.com/citoroute/citoroute/internal/ir"
)

// Defaults of LLMLimitPolicy.
const (
	defaultMaxOutput   = 4096
	defaultRedisPrefix = "citoroute"
)

// nobody takes the place of consumers whom a limit may not name, so that it
// does not come to concern everyone. No namespace has that name.
const nobody = "-"

// limits is an LLMLimitPolicy with its defaults filled in.
type limits struct {
	policy   ir.LimitPolicy
	findings []Finding
}

func (t *limits) find(condition, reason, format string, args ...any) {
	t.findings = append(t.findings, Finding{
		Condition: condition, Status: metav1.ConditionFalse, Reason: reason, Message: fmt.Sprintf(format, args...),
	})
}

// resolveLimits checks an LLMLimitPolicy and resolves its references.
func resolveLimits(r Reader, key Key, policy *v1alpha1.LLMLimitPolicy) *limits {
	spec := policy.Spec
	t := &limits{policy: ir.LimitPolicy{
		Open:      spec.OnStoreFailure == v1alpha1.FailureAllow,
		MaxOutput: int64(max(deref(spec.MaxReservedOutputTokens, defaultMaxOutput), 1)),
	}}
	for i, l := range spec.Limits {
		field := fmt.Sprintf("spec.limits[%d]", i)
		out := ir.Limit{Name: l.Name, Unit: ir.LimitUnit(l.Unit), Per: ir.LimitPer(l.Per), Scope: ir.LimitScope(l.Scope), Models: l.Models}
		if out.Scope == "" {
			out.Scope = ir.ScopeConsumer
		}
		var ok bool
		if out.Amount, ok = amount(l.Amount, l.Unit == v1alpha1.LimitUSD); !ok {
			t.find(v1alpha1.ConditionAccepted, v1alpha1.ReasonInvalid, "%s.amount: %s is not a usable amount; the limit refuses all requests", field, l.Amount.String())
		}
		for j, ref := range l.ConsumerRefs {
			out.Consumers = append(out.Consumers, t.consumer(r, key, ref, fmt.Sprintf("%s.consumerRefs[%d]", field, j)))
		}
		t.policy.Limits = append(t.policy.Limits, out)
	}
	if redis := spec.Store.Redis; redis != nil {
		t.redis(r, key, redis)
	}
	return t
}

// amount converts an amount; USD to nano-dollars. One that is not usable is 0.
func amount(q resource.Quantity, money bool) (n int64, ok bool) {
	if money {
		n = q.ScaledValue(resource.Nano)
	} else {
		n = q.Value()
	}
	most := resource.MustParse("1T")
	if n <= 0 || q.Cmp(most) > 0 {
		return 0, false
	}
	if money && q.CmpInt64(1_000_000_000) > 0 {
		return 0, false // more than counts in nano-dollars can hold
	}
	return n, true
}

// consumer returns the name by which a proxy knows a Consumer.
func (t *limits) consumer(r Reader, from Key, ref v1alpha1.ConsumerReference, field string) string {
	key := Key{KindConsumer, string(deref(ref.Namespace, gatewayv1.Namespace(from.Namespace))), string(ref.Name)}
	if !permitted(r, from, key) {
		t.find(v1alpha1.ConditionResolvedRefs, v1alpha1.ReasonRefNotPermitted, "%s", notPermitted(field, from, key))
		return nobody
	}
	if get[v1alpha1.Consumer](r, key) == nil {
		t.find(v1alpha1.ConditionResolvedRefs, ReasonConsumerNotFound, "%s: Consumer %s/%s does not exist", field, key.Namespace, key.Name)
	}
	return key.Namespace + "/" + key.Name
}

func (t *limits) redis(r Reader, from Key, in *v1alpha1.RedisStore) {
	out := &ir.Redis{Address: in.Address, TLS: in.TLS, Prefix: in.KeyPrefix}
	if out.Prefix == "" {
		out.Prefix = defaultRedisPrefix
	}
	t.policy.Redis = out
	if in.CredentialsRef == nil {
		return
	}
	const field = "spec.store.redis.credentialsRef"
	key := Key{KindSecret, from.Namespace, string(in.CredentialsRef.Name)}
	out.Credentials = objectName(prefixSecret, key)
	secret := get[corev1.Secret](r, key)
	switch {
	case secret == nil:
		t.find(v1alpha1.ConditionResolvedRefs, v1alpha1.ReasonCredentialsNotFound, "%s: Secret %s/%s does not exist", field, key.Namespace, key.Name)
	case len(secret.Data["password"])+len(secret.Data[caKey])+len(secret.Data[corev1.TLSCertKey]) == 0:
		t.find(v1alpha1.ConditionResolvedRefs, v1alpha1.ReasonInvalidCredentials, "%s: Secret %s/%s has none of the keys password, %s and %s",
			field, key.Namespace, key.Name, caKey, corev1.TLSCertKey)
	case len(secret.Data[corev1.TLSCertKey]) > 0 && !isPair(secret):
		t.find(v1alpha1.ConditionResolvedRefs, v1alpha1.ReasonInvalidCredentials, "%s: Secret %s/%s does not hold a PEM certificate in data.%q and the key that belongs to it in data.%q",
			field, key.Namespace, key.Name, corev1.TLSCertKey, corev1.TLSPrivateKeyKey)
	}
}

// isPair says whether a Secret holds a certificate and its key.
func isPair(s *corev1.Secret) bool {
	_, err := tls.X509KeyPair(s.Data[corev1.TLSCertKey], s.Data[corev1.TLSPrivateKeyKey])
	return err == nil
}

// limitResource translates an LLMLimitPolicy.
func limitResource(r Reader, key Key) *ir.Policy {
	out := &ir.Policy{Name: objectName(prefixLimits, key), Source: sourceOf(key), Limits: &ir.LimitPolicy{}}
	if policy := get[v1alpha1.LLMLimitPolicy](r, key); policy != nil {
		out.Limits = &resolveLimits(r, key, policy).policy
	}
	return out
}

// reportLimits reports on an LLMLimitPolicy for each of its targets.
func reportLimits(r Reader, key Key, policy *v1alpha1.LLMLimitPolicy) Report {
	findings := resolveLimits(r, key, policy).findings
	return reportTargets(r, policy, findings, func(target Key, section, field string) *Finding {
		for i, l := range policy.Spec.Limits {
			if l.Unit == v1alpha1.LimitUSD && !priced(r, target, section) {
				return &Finding{
					Condition: v1alpha1.ConditionResolvedRefs, Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonNoPrices,
					Message: fmt.Sprintf("%s: spec.limits[%d] counts USD, but no LLMPriceTable is in force for %s: requests that have no price are refused", field, i, target),
				}
			}
		}
		return nil
	})
}

// priced says whether a price table is in force for a target.
func priced(r Reader, target Key, section string) bool {
	if pricesFor(r, target, section) != "" || pricesFor(r, target, "") != "" {
		return true
	}
	route := get[v1alpha1.LLMRoute](r, target)
	if route == nil {
		return false
	}
	for _, ref := range route.Spec.ParentRefs {
		key, ok := parentKey(ref, target.Namespace)
		if !ok {
			continue
		}
		if parent := r.Parent(key); parent != nil && anyPrices(r, parent.Root) {
			return true
		}
	}
	return false
}

// anyPrices says whether a price table targets a Gateway or a part of it.
func anyPrices(r Reader, gateway Key) bool {
	bucket := Bucket{Relation: LLMPoliciesFor, Namespace: gateway.Namespace, Name: gateway.Name}
	return slices.ContainsFunc(oldestFirst[*v1alpha1.LLMPriceTable](r, bucket), func(table *v1alpha1.LLMPriceTable) bool {
		return slices.ContainsFunc(table.Spec.TargetRefs, func(ref gatewayv1.LocalPolicyTargetReferenceWithSectionName) bool {
			key, _ := llmTargetKey(table.Namespace, ref)
			return key == gateway
		})
	})
}

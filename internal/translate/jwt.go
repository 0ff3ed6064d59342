package translate

import (
	"encoding/json"
	"fmt"
	"net/url"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/citoroute/citoroute/api/v1alpha1"
	"github.com/citoroute/citoroute/internal/ir"
)

// noKeys is a key set that makes no token valid. It takes the place of one that
// cannot be used, so that a broken policy lets nobody in.
const noKeys = `{"keys":[]}`

// jwtResource translates a JWTValidationPolicy.
func jwtResource(r Reader, key Key) *ir.Policy {
	out := &ir.Policy{Name: objectName(prefixJWT, key), Source: sourceOf(key), JWT: &ir.JWT{}}
	if policy := get[v1alpha1.JWTValidationPolicy](r, key); policy != nil {
		out.JWT.Providers, _ = jwtProviders(r, key, policy)
	}
	if len(out.JWT.Providers) == 0 {
		out.JWT.Providers = []ir.JWTProvider{{Name: "none", JWKS: noKeys}}
	}
	return out
}

// jwtProviders translates the providers of a policy.
func jwtProviders(r Reader, key Key, policy *v1alpha1.JWTValidationPolicy) ([]ir.JWTProvider, []Finding) {
	var out []ir.JWTProvider
	var findings []Finding
	find := func(condition, reason, message string) {
		findings = append(findings, Finding{Condition: condition, Status: metav1.ConditionFalse, Reason: reason, Message: message})
	}
	if len(policy.Spec.Providers) == 0 {
		find(v1alpha1.ConditionAccepted, v1alpha1.ReasonInvalid, "spec.providers: at least one is required, for without one no token is valid")
	}
	for i, p := range policy.Spec.Providers {
		field := fmt.Sprintf("spec.providers[%d]", i)
		provider := ir.JWTProvider{Name: p.Name, Issuer: p.Issuer, Audiences: p.Audiences}
		for _, a := range p.Algorithms {
			provider.Algorithms = append(provider.Algorithms, string(a))
		}
		for _, c := range p.ClaimToHeaders {
			provider.ClaimHeaders = append(provider.ClaimHeaders, ir.ClaimHeader{Claim: c.Claim, Header: c.Header})
		}
		condition, message := resolveJWKS(r, key, p.JWKS, &provider)
		if message == "" && p.Issuer == "" {
			condition, message = v1alpha1.ConditionAccepted, ".issuer: must not be empty"
		}
		if message != "" {
			provider.JWKS, provider.RemoteJWKS = noKeys, ""
			find(condition, v1alpha1.ReasonInvalid, field+message)
		}
		out = append(out, provider)
	}
	return out, findings
}

// resolveJWKS sets a provider's key set, or says what is wrong with it and
// which condition tells.
func resolveJWKS(r Reader, key Key, jwks v1alpha1.JWKS, provider *ir.JWTProvider) (condition, message string) {
	switch {
	case jwks.Remote != nil:
		u, err := url.Parse(jwks.Remote.URI)
		if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Hostname() == "" || u.User != nil {
			return v1alpha1.ConditionAccepted, fmt.Sprintf(".jwks.remote.uri: %q is not an http or https URL", short(jwks.Remote.URI))
		}
		provider.RemoteJWKS = jwks.Remote.URI
	case jwks.Inline != "":
		provider.JWKS = jwks.Inline
		if !isKeySet(jwks.Inline) {
			return v1alpha1.ConditionAccepted, ".jwks.inline: is not a JSON Web Key Set with a key that verifies signatures: a public one of type RSA, EC or OKP"
		}
	case jwks.ConfigMapRef != nil:
		name := Key{KindConfigMap, key.Namespace, string(jwks.ConfigMapRef.Name)}
		entry := jwks.ConfigMapRef.Key
		if entry == "" {
			entry = "jwks"
		}
		configMap := get[corev1.ConfigMap](r, name)
		if configMap == nil {
			return v1alpha1.ConditionResolvedRefs, fmt.Sprintf(".jwks.configMapRef: ConfigMap %s/%s does not exist", name.Namespace, name.Name)
		}
		provider.JWKS = configMap.Data[entry]
		if !isKeySet(provider.JWKS) {
			return v1alpha1.ConditionResolvedRefs, fmt.Sprintf(".jwks.configMapRef: ConfigMap %s/%s has no JSON Web Key Set with a key that verifies signatures in data.%q", name.Namespace, name.Name, short(entry))
		}
	default:
		return v1alpha1.ConditionAccepted, ".jwks: one of remote, inline and configMapRef is required"
	}
	return "", ""
}

// maxKeys is how many keys a key set may have.
const maxKeys = 100

// isKeySet says whether s is a JSON Web Key Set (RFC 7517 section 5) of not too
// many keys, one of which looks like one that verifies signatures. The proxy
// passes over all others, and looks closer.
func isKeySet(s string) bool {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	return json.Unmarshal([]byte(s), &set) == nil && len(set.Keys) <= maxKeys && slices.ContainsFunc(set.Keys, verifies)
}

func verifies(raw json.RawMessage) bool {
	var key struct {
		Type    string          `json:"kty"`
		Use     string          `json:"use"`
		Private json.RawMessage `json:"d"`
	}
	return json.Unmarshal(raw, &key) == nil && slices.Contains([]string{"RSA", "EC", "OKP"}, key.Type) &&
		(key.Use == "" || key.Use == "sig") && key.Private == nil
}

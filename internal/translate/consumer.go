package translate

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/citoroute/citoroute/api/v1alpha1"
	"github.com/citoroute/citoroute/internal/ir"
)

// consumerResource translates a Consumer.
func consumerResource(r Reader, key Key) *ir.Policy {
	out := &ir.Policy{Name: objectName(prefixConsumer, key), Source: sourceOf(key), Consumer: &ir.Consumer{}}
	if o := get[v1alpha1.Consumer](r, key); o != nil {
		*out.Consumer, _ = resolveConsumer(r, key, o)
	}
	return out
}

// resolveConsumer checks a Consumer. A way to recognise it that cannot be used
// is left out: without one that can, nobody is the consumer.
func resolveConsumer(r Reader, key Key, o *v1alpha1.Consumer) (ir.Consumer, []Finding) {
	var out ir.Consumer
	var findings []Finding
	find := func(condition, reason, message string) {
		findings = append(findings, Finding{Condition: condition, Status: metav1.ConditionFalse, Reason: reason, Message: message})
	}
	if match := o.Spec.JWTClaimMatch; match != nil {
		if message := invalidClaimMatch(match); message != "" {
			find(v1alpha1.ConditionAccepted, v1alpha1.ReasonInvalid, message)
		} else {
			out.Claim, out.Value = match.Key, match.Value
		}
	}
	if keys := o.Spec.APIKeys; keys != nil {
		secret, p := resolveAPIKeys(r, key, keys.SecretRef)
		if p != nil {
			find(v1alpha1.ConditionResolvedRefs, p.reason, p.message)
		}
		out.APIKeys = secret
	}
	if o.Spec.JWTClaimMatch == nil && o.Spec.APIKeys == nil {
		find(v1alpha1.ConditionAccepted, v1alpha1.ReasonInvalid, "spec: jwtClaimMatch, apiKeys or both are required")
	}
	return out, findings
}

// invalidClaimMatch says what is wrong with a claim; empty: nothing.
func invalidClaimMatch(match *v1alpha1.JWTClaimMatch) string {
	switch {
	case match.Key == "" || slices.Contains(strings.Split(match.Key, "."), ""):
		return fmt.Sprintf("spec.jwtClaimMatch.key: %q has an empty part", short(match.Key))
	case match.Value == "":
		return "spec.jwtClaimMatch.value: must not be empty"
	}
	return ""
}

// resolveAPIKeys resolves a Secret of key hashes to the name of a resource,
// empty where it cannot be used. Of its entries those that are no hashes are
// named, and left out of the resource: the others stay valid.
func resolveAPIKeys(r Reader, from Key, ref gatewayv1.SecretObjectReference) (string, *problem) {
	const field = "spec.apiKeys.secretRef"
	secret, key, p := credentialsSecret(r, from, ref, field)
	if p != nil {
		return "", p
	}
	name := objectName(prefixAPIKeys, key)
	for _, entry := range slices.Sorted(maps.Keys(secret.Data)) {
		if _, ok := keyHash(secret.Data[entry]); !ok {
			return name, &problem{v1alpha1.ReasonInvalidCredentials, fmt.Sprintf(
				"%s: Secret %s/%s: data.%q is not the SHA-256 hash of a key, 64 hexadecimal digits; make one with citoroute api-key", field, key.Namespace, key.Name, short(entry))}
		}
	}
	if len(secret.Data) == 0 {
		return name, &problem{v1alpha1.ReasonInvalidCredentials, fmt.Sprintf("%s: Secret %s/%s is empty; make a key with citoroute api-key", field, key.Namespace, key.Name)}
	}
	return name, nil
}

// keyHash reads a hash out of a Secret. Files end with a newline, so space
// around it does not count.
func keyHash(entry []byte) (ir.Bytes, bool) {
	hash, err := hex.DecodeString(strings.TrimSpace(string(entry)))
	return hash, err == nil && len(hash) == sha256.Size
}

// apiKeysResource returns what proxies get of a Secret with hashes of keys: the
// hashes. A plain key that was put there by mistake goes nowhere.
func apiKeysResource(r Reader, key Key) *ir.Secret {
	out := &ir.Secret{Name: objectName(prefixAPIKeys, key), Source: sourceOf(key)}
	secret := get[corev1.Secret](r, key)
	if secret == nil {
		return out
	}
	for entry, value := range secret.Data {
		if hash, ok := keyHash(value); ok {
			if out.Values == nil {
				out.Values = map[string]ir.Bytes{}
			}
			out.Values[entry] = hash
		}
	}
	return out
}

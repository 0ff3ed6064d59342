package translate

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/citoroute/citoroute/api/v1alpha1"
)

// isSecret says whether a reference is to a Secret.
func isSecret(ref gatewayv1.SecretObjectReference) bool {
	return deref(ref.Group, corev1.GroupName) == corev1.GroupName && deref(ref.Kind, gatewayv1.Kind(KindSecret)) == gatewayv1.Kind(KindSecret)
}

// notSecret is the message for a reference to anything else.
func notSecret(ref gatewayv1.SecretObjectReference, field string) string {
	return fmt.Sprintf("%s: %s in group %q is not supported; use a Secret", field,
		short(string(deref(ref.Kind, gatewayv1.Kind(KindSecret)))), short(string(deref(ref.Group, corev1.GroupName))))
}

// secretKey returns the key of the Secret that a reference is to.
func secretKey(from Key, ref gatewayv1.SecretObjectReference) Key {
	return Key{KindSecret, string(deref(ref.Namespace, gatewayv1.Namespace(from.Namespace))), string(ref.Name)}
}

// credentialsSecret returns the Secret that an object of our own refers to.
func credentialsSecret(r Reader, from Key, ref gatewayv1.SecretObjectReference, field string) (*corev1.Secret, Key, *problem) {
	key := secretKey(from, ref)
	if !isSecret(ref) {
		return nil, key, &problem{v1alpha1.ReasonInvalidCredentials, notSecret(ref, field)}
	}
	if !permitted(r, from, key) {
		return nil, key, &problem{v1alpha1.ReasonRefNotPermitted, notPermitted(field, from, key)}
	}
	secret := get[corev1.Secret](r, key)
	if secret == nil {
		return nil, key, &problem{v1alpha1.ReasonCredentialsNotFound, fmt.Sprintf("%s: Secret %s/%s does not exist", field, key.Namespace, key.Name)}
	}
	return secret, key, nil
}

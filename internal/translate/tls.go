package translate

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/citoroute/citoroute/internal/ir"
)

// caKey is the key of a CA bundle in a ConfigMap or Secret.
const caKey = "ca.crt"

// resolveTLS sets up the certificates and the client validation of a listener
// that ends TLS. It is served if at least one certificate is good.
func (t *gatewayTranslation) resolveTLS(l *listener) {
	l.tls = &ir.ServerTLS{}
	t.resolveCertificates(l)
	if len(l.tls.Certificates) == 0 {
		l.stop(gatewayv1.ListenerReasonInvalid, "the listener has no usable certificate; see condition ResolvedRefs")
	}
	if l.spec.Protocol == gatewayv1.HTTPSProtocolType { // what spec.tls.frontend is for
		t.resolveClientValidation(l)
	}
}

func (t *gatewayTranslation) resolveCertificates(l *listener) {
	if l.spec.TLS == nil || len(l.spec.TLS.CertificateRefs) == 0 {
		l.unresolved(gatewayv1.ListenerReasonInvalidCertificateRef, fmt.Sprintf("tls.certificateRefs: protocol %s needs at least one Secret of type kubernetes.io/tls", l.spec.Protocol))
		return
	}
	for i, ref := range l.spec.TLS.CertificateRefs {
		name, p := resolveCertificate(t.reader, l.owner, ref, fmt.Sprintf("tls.certificateRefs[%d]", i))
		if p != nil {
			l.unresolved(gatewayv1.ListenerConditionReason(p.reason), p.message)
			continue
		}
		l.tls.Certificates = append(l.tls.Certificates, name)
	}
}

// resolveCertificate resolves a reference to a Secret that holds a certificate
// and its key.
func resolveCertificate(r Reader, from Key, ref gatewayv1.SecretObjectReference, field string) (string, *problem) {
	invalid := func(format string, args ...any) *problem {
		return &problem{string(gatewayv1.ListenerReasonInvalidCertificateRef), field + ": " + fmt.Sprintf(format, args...)}
	}
	if !isSecret(ref) {
		return "", &problem{string(gatewayv1.ListenerReasonInvalidCertificateRef), notSecret(ref, field)}
	}
	key := secretKey(from, ref)
	if !permitted(r, from, key) {
		return "", &problem{string(gatewayv1.ListenerReasonRefNotPermitted), notPermitted(field, from, key)}
	}
	secret := get[corev1.Secret](r, key)
	if secret == nil {
		return "", invalid("Secret %s/%s does not exist", key.Namespace, key.Name)
	}
	certificate, private := secret.Data[corev1.TLSCertKey], secret.Data[corev1.TLSPrivateKeyKey]
	if len(certificate) == 0 || len(private) == 0 {
		return "", invalid("Secret %s/%s has no data.%q or data.%q", key.Namespace, key.Name, corev1.TLSCertKey, corev1.TLSPrivateKeyKey)
	}
	// The error is left out: it could quote the key.
	pair, err := tls.X509KeyPair(certificate, private)
	if err != nil {
		return "", invalid("Secret %s/%s does not hold a PEM certificate and the key that belongs to it", key.Namespace, key.Name)
	}
	if !usableKey(pair.PrivateKey) {
		return "", invalid("Secret %s/%s has a key that clients do not accept; use RSA with %d bits or more, P-256, P-384, P-521 or Ed25519", key.Namespace, key.Name, minRSA)
	}
	return objectName(prefixSecret, key), nil
}

// minRSA is the least length of an RSA key, in bits: what browsers accept.
const minRSA = 2048

// usableKey says whether handshakes with a key can come to an end.
func usableKey(key crypto.PrivateKey) bool {
	switch key := key.(type) {
	case *rsa.PrivateKey:
		return key.N.BitLen() >= minRSA
	case *ecdsa.PrivateKey:
		return key.Curve != elliptic.P224()
	}
	return true
}

// resolveClientValidation sets which client certificates the listener accepts.
func (t *gatewayTranslation) resolveClientValidation(l *listener) {
	validation := t.frontendValidation(l.spec.Port)
	if validation == nil {
		return
	}
	cas := t.resolveClientCAs(l, validation.CACertificateRefs)
	if len(cas) == 0 {
		l.refuse(gatewayv1.ListenerReasonNoValidCACertificate, "Gateway spec.tls.frontend: no CA certificate can be used, so no client could be let in; see condition ResolvedRefs")
		return
	}
	l.tls.ClientValidation = &ir.ClientValidation{CAs: cas, AllowInsecureFallback: validation.Mode == gatewayv1.AllowInsecureFallback}
}

func (t *gatewayTranslation) resolveClientCAs(l *listener, refs []gatewayv1.ObjectReference) []string {
	var out []string
	for i, ref := range refs {
		name, p := resolveCA(t.reader, t.key, ref, fmt.Sprintf("Gateway spec.tls.frontend caCertificateRefs[%d]", i))
		if p != nil {
			l.unresolved(gatewayv1.ListenerConditionReason(p.reason), p.message)
			continue
		}
		out = append(out, name)
	}
	return out
}

// frontendValidation returns what the Gateway demands of clients on a port.
func (t *gatewayTranslation) frontendValidation(port int32) *gatewayv1.FrontendTLSValidation {
	if t.gateway.Spec.TLS == nil || t.gateway.Spec.TLS.Frontend == nil {
		return nil
	}
	for _, p := range t.gateway.Spec.TLS.Frontend.PerPort {
		if p.Port == port {
			return p.TLS.Validation
		}
	}
	return t.gateway.Spec.TLS.Frontend.Default.Validation
}

// resolveCA resolves a reference to a ConfigMap or Secret that holds a bundle
// of certificate authorities.
func resolveCA(r Reader, from Key, ref gatewayv1.ObjectReference, field string) (string, *problem) {
	kind := Kind(ref.Kind)
	if ref.Group != corev1.GroupName || (kind != KindConfigMap && kind != KindSecret) {
		return "", &problem{
			string(gatewayv1.ListenerReasonInvalidCACertificateKind),
			fmt.Sprintf("%s: %s in group %q is not supported; use a ConfigMap or a Secret", field, short(string(ref.Kind)), short(string(ref.Group))),
		}
	}
	key := Key{kind, string(deref(ref.Namespace, gatewayv1.Namespace(from.Namespace))), string(ref.Name)}
	if !permitted(r, from, key) {
		return "", &problem{string(gatewayv1.ListenerReasonRefNotPermitted), notPermitted(field, from, key)}
	}
	if what := unusableCA(r, key); what != "" {
		return "", &problem{
			string(gatewayv1.ListenerReasonInvalidCACertificateRef),
			fmt.Sprintf("%s: %s %s/%s %s", field, kind, key.Namespace, key.Name, what),
		}
	}
	if kind == KindSecret {
		return objectName(prefixSecret, key), nil
	}
	return objectName(prefixConfigMap, key), nil
}

// unusableCA says what is wrong with a bundle; empty: nothing.
func unusableCA(r Reader, key Key) string {
	bundle, exists := caBundle(r, key)
	switch {
	case !exists:
		return "does not exist"
	case len(bundle) == 0:
		return fmt.Sprintf("has no data.%q", caKey)
	case !validBundle(bundle):
		return fmt.Sprintf("has something else than PEM certificates in data.%q", caKey)
	}
	return ""
}

func caBundle(r Reader, key Key) ([]byte, bool) {
	switch o := r.Get(key).(type) {
	case *corev1.ConfigMap:
		if data, ok := o.Data[caKey]; ok {
			return []byte(data), true
		}
		return o.BinaryData[caKey], true
	case *corev1.Secret:
		return o.Data[caKey], true
	}
	return nil, false
}

// validBundle says whether a bundle holds certificates and nothing that is
// malformed.
func validBundle(bundle []byte) bool {
	count := 0
	for {
		var block *pem.Block
		block, bundle = pem.Decode(bundle)
		if block == nil {
			return count > 0
		}
		if block.Type != "CERTIFICATE" {
			return false
		}
		if _, err := x509.ParseCertificate(block.Bytes); err != nil {
			return false
		}
		count++
	}
}

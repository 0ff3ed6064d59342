package translate

import (
	corev1 "k8s.io/api/core/v1"

	"github.com/citoroute/citoroute/internal/ir"
)

// Resource translates a resource that another resource of a node
// refers to: a backend, endpoints, a policy or a secret. Whether the reference is
// permitted was checked by the function that made it. A resource that cannot be
// made (its object is gone, and the function that referred to it is about to
// run again) is still there, but leads nowhere.
func Resource(r Reader, ref ir.Ref, node Key, options Options) Output {
	var resource ir.Resource
	switch ref.Type {
	case ir.TypeBackend:
		if port, ok := parseServicePort(ref.Name); ok {
			return serviceBackend(r, port, node, options)
		}
		if key, ok := parseObjectName(prefixLLM, KindLLMBackend, ref.Name); ok {
			resource = llmResource(r, key)
		}
	case ir.TypeEndpoints:
		resource = endpointsResource(r, ref.Name)
	case ir.TypePolicy:
		resource = policyResource(r, ref.Name)
	case ir.TypeSecret:
		resource = anySecretResource(r, ref.Name)
	default:
	}
	if resource == nil {
		return Output{}
	}
	return Output{Resources: []NodeResource{{node, resource}}}
}

func endpointsResource(r Reader, name string) ir.Resource {
	if port, ok := parseServicePort(name); ok {
		return serviceEndpoints(r, port)
	}
	if key, ok := parseObjectName(prefixLLM, KindLLMBackend, name); ok {
		return llmEndpoints(r, key)
	}
	if name == noEndpoints {
		return &ir.Endpoints{Name: noEndpoints}
	}
	return nil
}

func policyResource(r Reader, name string) ir.Resource {
	if key, ok := parseObjectName(prefixJWT, KindJWTPolicy, name); ok {
		return jwtResource(r, key)
	}
	if key, ok := parseObjectName(prefixConsumer, KindConsumer, name); ok {
		return consumerResource(r, key)
	}
	if key, ok := parseObjectName(prefixLimits, KindLLMLimitPolicy, name); ok {
		return limitResource(r, key)
	}
	if key, ok := parseObjectName(prefixPrices, KindLLMPriceTable, name); ok {
		return priceResource(r, key)
	}
	return nil
}

func anySecretResource(r Reader, name string) ir.Resource {
	if key, ok := parseObjectName(prefixAPIKeys, KindSecret, name); ok {
		return apiKeysResource(r, key)
	}
	return secretResource(r, name)
}

// secretResource returns what proxies get of a Secret or ConfigMap. A Secret
// with a certificate gives its certificate, key and CA; any other gives its
// values.
func secretResource(r Reader, name string) *ir.Secret {
	out := &ir.Secret{Name: name}
	if key, ok := parseObjectName(prefixConfigMap, KindConfigMap, name); ok {
		out.Source = sourceOf(key)
		out.CA, _ = caBundle(r, key)
		return out
	}
	key, _ := parseObjectName(prefixSecret, KindSecret, name)
	out.Source = sourceOf(key)
	secret := get[corev1.Secret](r, key)
	if secret == nil {
		return out
	}
	out.CA = secret.Data[caKey]
	if certificate := secret.Data[corev1.TLSCertKey]; len(certificate) > 0 {
		out.Certificate, out.Key = certificate, secret.Data[corev1.TLSPrivateKeyKey]
	}
	out.Values = secretValues(secret.Data)
	return out
}

// secretValues returns the values besides the authorities; beside a certificate,
// which often has its key in other forms as well, only those of a login. nil: none.
func secretValues(data map[string][]byte) map[string]ir.Bytes {
	var out map[string]ir.Bytes
	certificate := len(data[corev1.TLSCertKey]) > 0
	for k, v := range data {
		if k == caKey || certificate && k != "username" && k != "password" {
			continue
		}
		if out == nil {
			out = map[string]ir.Bytes{}
		}
		out[k] = v
	}
	return out
}

func sourceOf(key Key) ir.Source {
	return ir.Source{Kind: string(key.Kind), Namespace: key.Namespace, Name: key.Name}
}

// References returns what a resource refers to by name, without repetition and
// in a fixed order. Listeners are left out: routes are made for them.
func References(resource ir.Resource) []ir.Ref {
	var out []ir.Ref
	seen := map[ir.Ref]bool{}
	add := func(t ir.Type, names ...string) {
		for _, name := range names {
			if ref := (ir.Ref{Type: t, Name: name}); name != "" && !seen[ref] {
				seen[ref] = true
				out = append(out, ref)
			}
		}
	}
	switch o := resource.(type) {
	case *ir.Listener:
		referencesOfListener(o, add)
	case *ir.Policy:
		referencesOfPolicy(o, add)
	case *ir.Route:
		for i := range o.Rules {
			referencesOfRule(&o.Rules[i], add)
		}
	case *ir.Backend:
		referencesOfBackend(o, add)
	}
	return out
}

func referencesOfListener(l *ir.Listener, add func(ir.Type, ...string)) {
	add(ir.TypePolicy, l.Policies...)
	add(ir.TypePolicy, l.Limits...)
	add(ir.TypePolicy, l.Prices)
	if l.TLS == nil {
		return
	}
	add(ir.TypeSecret, l.TLS.Certificates...)
	if l.TLS.ClientValidation != nil {
		add(ir.TypeSecret, l.TLS.ClientValidation.CAs...)
	}
}

func referencesOfBackend(b *ir.Backend, add func(ir.Type, ...string)) {
	add(ir.TypeEndpoints, b.Endpoints)
	if b.TLS != nil {
		add(ir.TypeSecret, b.TLS.CAs...)
		add(ir.TypeSecret, b.TLS.Certificate)
	}
	if b.LLM != nil {
		add(ir.TypeSecret, b.LLM.Credentials)
	}
}

func referencesOfPolicy(policy *ir.Policy, add func(ir.Type, ...string)) {
	if policy.Consumer != nil {
		add(ir.TypeSecret, policy.Consumer.APIKeys)
	}
	if policy.Limits != nil && policy.Limits.Redis != nil {
		add(ir.TypeSecret, policy.Limits.Redis.Credentials)
	}
}

func referencesOfRule(rule *ir.Rule, add func(ir.Type, ...string)) {
	mirrors := func(filters []ir.Filter) {
		for _, f := range filters {
			if f.Mirror != nil {
				add(ir.TypeBackend, f.Mirror.Backend)
			}
		}
	}
	add(ir.TypePolicy, rule.Policies...)
	if rule.LLM != nil {
		add(ir.TypePolicy, rule.LLM.Consumers...)
		add(ir.TypePolicy, rule.LLM.Limits...)
		add(ir.TypePolicy, rule.LLM.Prices)
	}
	mirrors(rule.Filters)
	for _, backend := range rule.Backends {
		add(ir.TypeBackend, backend.Backend)
		mirrors(backend.Filters)
	}
}

package translate

import (
	corev1 "k8s.io/api/core/v1"

	"github.com/citoroute/citoroute/internal/ir"
)

// Resource translates a resource that another resource of a Gateway's node
// refers to: a backend, endpoints, a policy or a secret. Whether the reference is
// permitted was checked by the function that made it. A resource that cannot be
// made (its object is gone, and the function that referred to it is about to
// run again) is still there, but leads nowhere.
func Resource(r Reader, ref ir.Ref, gateway Key, options Options) Output {
	switch ref.Type {
	case ir.TypeBackend:
		if port, ok := parseServicePort(ref.Name); ok {
			return serviceBackend(r, port, gateway, options)
		}
		if key, ok := parseObjectName(prefixLLM, KindLLMBackend, ref.Name); ok {
			return one(gateway, llmResource(r, key))
		}
	case ir.TypeEndpoints:
		if port, ok := parseServicePort(ref.Name); ok {
			return one(gateway, serviceEndpoints(r, port))
		}
		if key, ok := parseObjectName(prefixLLM, KindLLMBackend, ref.Name); ok {
			return one(gateway, llmEndpoints(r, key))
		}
		if ref.Name == noEndpoints {
			return one(gateway, &ir.Endpoints{Name: noEndpoints})
		}
	case ir.TypePolicy:
		if key, ok := parseObjectName(prefixJWT, KindJWTPolicy, ref.Name); ok {
			return one(gateway, jwtResource(r, key))
		}
		if key, ok := parseObjectName(prefixConsumer, KindConsumer, ref.Name); ok {
			return one(gateway, consumerResource(r, key))
		}
		if key, ok := parseObjectName(prefixLimits, KindLLMLimitPolicy, ref.Name); ok {
			return one(gateway, limitResource(r, key))
		}
		if key, ok := parseObjectName(prefixPrices, KindLLMPriceTable, ref.Name); ok {
			return one(gateway, priceResource(r, key))
		}
	case ir.TypeSecret:
		if key, ok := parseObjectName(prefixAPIKeys, KindSecret, ref.Name); ok {
			return one(gateway, apiKeysResource(r, key))
		}
		return one(gateway, secretResource(r, ref.Name))
	default:
	}
	return Output{}
}

func one(gateway Key, resource ir.Resource) Output {
	return Output{Resources: []NodeResource{{gateway, resource}}}
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
		return out
	}
	for k, v := range secret.Data {
		if k == caKey {
			continue
		}
		if out.Values == nil {
			out.Values = map[string]ir.Bytes{}
		}
		out.Values[k] = v
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
		add(ir.TypePolicy, o.Policies...)
		add(ir.TypePolicy, o.Limits...)
		add(ir.TypePolicy, o.Prices)
		if o.TLS != nil {
			add(ir.TypeSecret, o.TLS.Certificates...)
			if o.TLS.ClientValidation != nil {
				add(ir.TypeSecret, o.TLS.ClientValidation.CAs...)
			}
		}
	case *ir.Policy:
		referencesOfPolicy(o, add)
	case *ir.Route:
		for i := range o.Rules {
			referencesOfRule(&o.Rules[i], add)
		}
	case *ir.Backend:
		add(ir.TypeEndpoints, o.Endpoints)
		if o.TLS != nil {
			add(ir.TypeSecret, o.TLS.CAs...)
			add(ir.TypeSecret, o.TLS.Certificate)
		}
		if o.LLM != nil {
			add(ir.TypeSecret, o.LLM.Credentials)
		}
	}
	return out
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

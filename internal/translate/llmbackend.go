package translate

import (
	"fmt"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/citoroute/citoroute/api/v1alpha1"
	"github.com/citoroute/citoroute/internal/ir"
)

// defaultLLMTimeout is the default of LLMBackend spec.timeout.
const defaultLLMTimeout = 5 * time.Minute

// llmTarget is an LLMBackend with its defaults filled in.
type llmTarget struct {
	provider ir.LLMProvider
	tls      bool
	host     string
	port     uint16
	// findings are empty for a backend that can be used.
	findings []Finding
}

func (t *llmTarget) find(condition, reason, format string, args ...any) {
	t.findings = append(t.findings, Finding{
		Condition: condition, Status: metav1.ConditionFalse, Reason: reason, Message: fmt.Sprintf(format, args...),
	})
}

func (t *llmTarget) invalid(format string, args ...any) {
	t.find(v1alpha1.ConditionAccepted, v1alpha1.ReasonInvalid, format, args...)
}

// resolveLLM checks an LLMBackend and resolves its references.
func resolveLLM(r Reader, key Key, backend *v1alpha1.LLMBackend) *llmTarget {
	spec := backend.Spec
	t := &llmTarget{provider: ir.LLMProvider{Provider: strings.ToLower(string(spec.Provider)), Model: spec.Model, Timeout: defaultLLMTimeout}}
	t.provider.DenyURLs = spec.MediaURLs == v1alpha1.MediaURLsDeny
	if t.provider.MaxTokens = spec.MaxTokens; spec.MaxTokens < 0 {
		t.invalid("spec.maxTokens: %d is not 1 or more", spec.MaxTokens)
	}
	endpoint, basePath := "", ""
	switch spec.Provider {
	case v1alpha1.ProviderOpenAI:
		endpoint, basePath = "https://api.openai.com", "/v1"
	case v1alpha1.ProviderAnthropic:
		endpoint = "https://api.anthropic.com"
	case v1alpha1.ProviderBedrock:
		endpoint = t.bedrock(&spec)
	default:
		t.invalid("spec.provider: %q is none of OpenAI, Anthropic and Bedrock", short(string(spec.Provider)))
		return t
	}
	if spec.Endpoint != "" {
		endpoint = spec.Endpoint
	}
	t.endpoint(r, endpoint, basePath)
	if spec.Timeout != nil {
		d, ok := parseDuration(*spec.Timeout)
		if !ok {
			t.invalid(`spec.timeout: %q is not a duration such as "30s" or "5m"`, short(string(*spec.Timeout)))
		}
		t.provider.Timeout = d
	}
	if spec.CredentialsRef != nil {
		t.credentials(r, key, *spec.CredentialsRef, spec.Provider)
	}
	return t
}

// endpoint takes a URL apart. One without a path gets basePath.
func (t *llmTarget) endpoint(r Reader, endpoint, basePath string) {
	u, err := url.Parse(endpoint)
	switch {
	case err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Hostname() == "":
		t.invalid("spec.endpoint: %q is not an http or https URL", short(endpoint))
		return
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		t.invalid("spec.endpoint: must have no user, query or fragment; put credentials into the Secret of spec.credentialsRef")
		return
	}
	t.tls, t.host, t.provider.Host = u.Scheme == "https", u.Hostname(), u.Host
	t.port = defaultPort(t.tls)
	t.checkHost(r)
	if u.Port() != "" {
		n, err := strconv.ParseUint(u.Port(), 10, 16)
		if err != nil || n == 0 {
			t.invalid("spec.endpoint: port %q is not in the range 1 to 65535", short(u.Port()))
		}
		t.port = uint16(n)
	}
	if port := ":" + strconv.Itoa(int(defaultPort(t.tls))); strings.HasSuffix(u.Host, port) {
		t.provider.Host = strings.TrimSuffix(u.Host, port) // signatures leave it out
	}
	t.provider.BasePath = strings.TrimSuffix(u.EscapedPath(), "/")
	if u.Path == "" {
		t.provider.BasePath = basePath
	}
}

func defaultPort(tls bool) uint16 {
	if tls {
		return 443
	}
	return 80
}

// checkHost refuses hosts at which no provider can be, such as that of the
// cloud's metadata, and the proxy's own machine: its administration is there.
func (t *llmTarget) checkHost(r Reader) {
	if ip, err := netip.ParseAddr(t.host); err == nil {
		if !safeAddress(r, ip) {
			t.invalid("spec.endpoint: %s is an address that no provider has", t.host)
		}
		return
	}
	host, ok := normalizeHost(t.host)
	local := host == "localhost" || strings.HasSuffix(host, ".localhost")
	switch {
	case !ok || strings.HasPrefix(host, "*"):
		t.invalid("spec.endpoint: %q is not a DNS name or IP address", short(t.host))
	case local && !r.LocalBackends() || host == metadataName:
		t.invalid("spec.endpoint: %s is a host that no provider has", t.host)
	}
}

// credentials resolves the Secret of an LLMBackend.
func (t *llmTarget) credentials(r Reader, from Key, ref gatewayv1.SecretObjectReference, provider v1alpha1.Provider) {
	const field = "spec.credentialsRef"
	secret, key, p := credentialsSecret(r, from, ref, field)
	if p != nil {
		t.find(v1alpha1.ConditionResolvedRefs, p.reason, "%s", p.message)
		return
	}
	wrong := func(format string, args ...any) {
		t.find(v1alpha1.ConditionResolvedRefs, v1alpha1.ReasonInvalidCredentials, "%s: Secret %s/%s %s", field, key.Namespace, key.Name, fmt.Sprintf(format, args...))
	}
	needed := []string{v1alpha1.SecretKeyAPIKey}
	if provider == v1alpha1.ProviderBedrock {
		needed = t.bedrockKeys(secret, wrong)
	}
	for _, k := range needed {
		if !hasValue(secret, k) || !isFieldValue(strings.TrimSpace(string(secret.Data[k]))) {
			wrong("has no usable data.%q", k)
		}
	}
	t.provider.Credentials = objectName(prefixSecret, key)
}

// hasValue says whether a Secret has more than white space under a key.
func hasValue(secret *corev1.Secret, key string) bool {
	return strings.TrimSpace(string(secret.Data[key])) != ""
}

// llmResource translates an LLMBackend to a Backend. One that cannot be used is
// not reached.
func llmResource(r Reader, key Key) *ir.Backend {
	name := objectName(prefixLLM, key)
	out := &ir.Backend{Name: name, Source: sourceOf(key), Protocol: ir.ProtocolHTTP, Endpoints: name}
	backend := get[v1alpha1.LLMBackend](r, key)
	if backend == nil {
		out.Endpoints = noEndpoints
		return out
	}
	t := resolveLLM(r, key, backend)
	if len(t.findings) > 0 {
		out.Endpoints = noEndpoints
		return out
	}
	out.LLM = &t.provider
	if t.tls {
		out.TLS = &ir.ClientTLS{ServerName: t.host, SystemCAs: true}
	}
	return out
}

// llmEndpoints returns the address of an LLMBackend.
func llmEndpoints(r Reader, key Key) *ir.Endpoints {
	out := &ir.Endpoints{Name: objectName(prefixLLM, key), Source: sourceOf(key)}
	if backend := get[v1alpha1.LLMBackend](r, key); backend != nil {
		if t := resolveLLM(r, key, backend); len(t.findings) == 0 {
			out.Addresses = []ir.Endpoint{{Host: t.host, Port: t.port}}
		}
	}
	return out
}

package standalone

import (
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/citoroute/citoroute/internal/fakellm"
)

// llmManifests serve one LLMRoute with /v1 in front of a provider at an address.
const llmManifests = `
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: gw}
spec:
  gatewayClassName: citoroute
  listeners: [{name: http, port: 8080, protocol: HTTP}]
---
apiVersion: citoroute.io/v1alpha1
kind: LLMRoute
metadata: {name: chat}
spec:
  parentRefs: [{name: gw}]
  path: {type: PathPrefix, value: /v1}
  backendRefs: [{name: fake}]
---
apiVersion: citoroute.io/v1alpha1
kind: LLMBackend
metadata: {name: fake}
spec: {provider: OpenAI, endpoint: "http://127.0.0.1:PORT/v1", credentialsRef: {name: fake}}
---
apiVersion: v1
kind: Secret
metadata: {name: fake}
stringData: {apiKey: ` + fakellm.OpenAIKey + `}
`

// serveLLM serves llmManifests in front of the fake provider. seen counts and
// inspects what the provider gets.
func serveLLM(t *testing.T, seen func(*http.Request)) *running {
	t.Helper()
	fake := fakellm.New(fakellm.Options{})
	port := backend(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen(r)
		fake.ServeHTTP(w, r)
	}))
	return serve(t, map[string]string{"llm.yaml": strings.ReplaceAll(llmManifests, "PORT", port)})
}

// What a model wants to call its tools with is data: nothing of it becomes a
// part of a path, query or header.
func TestLM008_ToolArgumentsStayInTheBody(t *testing.T) {
	r := serveLLM(t, func(req *http.Request) {
		if req.URL.Path != "/v1/chat/completions" || req.URL.RawQuery != "" {
			t.Errorf("asked for %s", req.URL)
		}
		for name, values := range req.Header {
			if strings.Contains(strings.Join(values, ""), "evil") {
				t.Errorf("%s: %q", name, values)
			}
		}
	})
	body := `{"model":"m","messages":[{"role":"user","content":"go on"},
		{"role":"assistant","content":null,"tool_calls":[{"id":"call_1","type":"function","function":{"name":"get","arguments":"{\"path\":\"../../evil?x=1\",\"header\":\"a\\r\\nX-Evil: evil\"}"}}]},
		{"role":"tool","tool_call_id":"call_1","content":"../evil\r\nX-Evil: evil"}],
		"tools":[{"type":"function","function":{"name":"get","parameters":{"type":"object","properties":{}}}}]}`
	got := r.send(8080, http.MethodPost, "http://localhost/v1/chat/completions", map[string]string{"Content-Type": "application/json"}, body)
	if got.status != http.StatusOK || got.header.Get("X-Evil") != "" {
		t.Errorf("%+v", got)
	}
}

// Answers are not cached: the same request of two callers is two requests.
func TestLM034_NobodyGetsAnothersAnswer(t *testing.T) {
	var asked atomic.Int32
	r := serveLLM(t, func(*http.Request) { asked.Add(1) })
	ids := map[string]bool{}
	for _, caller := range []string{"one", "two", "one"} {
		got := r.send(8080, http.MethodPost, "http://localhost/v1/chat/completions",
			map[string]string{"Content-Type": "application/json", "Authorization": "Bearer " + caller},
			`{"model":"m","seed":1,"temperature":0,"messages":[{"role":"user","content":"hello"}]}`)
		if got.status != http.StatusOK {
			t.Fatalf("%+v", got)
		}
		_, id, _ := strings.Cut(got.body, `"id":"`)
		id, _, _ = strings.Cut(id, `"`)
		ids[id] = true
	}
	if asked.Load() != 3 || len(ids) != 3 {
		t.Errorf("the provider was asked %d times, answers %v", asked.Load(), ids)
	}
}

// The realtime API is not offered, so a key in its subprotocol goes nowhere.
func TestLM036_NoKeyInASubprotocol(t *testing.T) {
	var asked atomic.Int32
	r := serveLLM(t, func(*http.Request) { asked.Add(1) })
	for _, path := range []string{"/v1/realtime", "/v1/chat/completions"} {
		got := r.get(8080, "http://localhost"+path, map[string]string{
			"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
			"Sec-WebSocket-Protocol": "realtime, openai-insecure-api-key.sk-canary",
		})
		if got.status < 400 || got.status > 499 || strings.Contains(got.body, "canary") || got.header.Get("Sec-WebSocket-Protocol") != "" {
			t.Errorf("%s: %+v", path, got)
		}
	}
	if asked.Load() != 0 {
		t.Error("the provider was asked")
	}
}

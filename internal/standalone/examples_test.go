package standalone

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/citoroute/citoroute/internal/fakellm"
)

func TestExample_Quickstart(t *testing.T) {
	r := serve(t, example(t, "quickstart"))
	if got := r.get(8080, "http://localhost/hello", nil); got.status != http.StatusOK || !strings.Contains(got.body, `"backend": "echo-1"`) {
		t.Errorf("/hello: %+v", got)
	}
	json := map[string]string{"Content-Type": "application/json"}
	chat := `{"model":"fake-large","stream":%v,"messages":[{"role":"user","content":"Hello!"}]}`
	got := r.send(8080, http.MethodPost, "http://localhost/v1/chat/completions", json, fmt.Sprintf(chat, false))
	if got.status != http.StatusOK || !strings.Contains(got.body, "You said: Hello!") {
		t.Errorf("chat: %+v", got)
	}
	got = r.send(8080, http.MethodPost, "http://localhost/v1/chat/completions", json, fmt.Sprintf(chat, true))
	if got.status != http.StatusOK || !strings.HasSuffix(got.body, "data: [DONE]\n\n") || strings.Count(got.body, "data: ") < 4 {
		t.Errorf("streamed chat: %+v", got)
	}
	if tries := r.Try(6); len(tries) != 2 {
		t.Errorf("curl lines: %q", tries)
	}
}

func TestExample_Embeddings(t *testing.T) {
	r := serve(t, example(t, "embeddings"))
	json := map[string]string{"Content-Type": "application/json"}
	for path, want := range map[string]struct {
		status int
		body   string
	}{
		"/v1/embeddings":        {http.StatusBadRequest, "this model takes one text at a time"},
		"/cohere/v1/embeddings": {http.StatusOK, `"usage":{"prompt_tokens":3,"total_tokens":3}`},
	} {
		got := r.send(8080, http.MethodPost, "http://localhost"+path, json, `{"model":"m","input":["one two","three"]}`)
		if got.status != want.status || !strings.Contains(got.body, want.body) {
			t.Errorf("%s: %+v", path, got)
		}
	}
	got := r.send(8080, http.MethodPost, "http://localhost/v1/embeddings", json, `{"model":"m","input":"one","dimensions":256}`)
	if got.status != http.StatusOK || !strings.Contains(got.body, `"model":"amazon.titan-embed-text-v2:0"`) {
		t.Errorf("titan: %+v", got)
	}
}

func TestExample_AssumeRole(t *testing.T) {
	provider := fakellm.New(fakellm.Options{})
	port := backend(t, provider)
	t.Setenv("AWS_ENDPOINT_URL_STS", "http://127.0.0.1:"+port)
	t.Setenv("AWS_PROFILE", "")
	files := exampleWith(t, "assume-role", port)
	r := serve(t, files)
	ask := func() answer {
		return r.send(8080, http.MethodPost, "http://localhost/v1/chat/completions", map[string]string{"Content-Type": "application/json"},
			`{"model":"m","messages":[{"role":"user","content":"Hello!"}]}`)
	}
	for range 2 {
		if got := ask(); got.status != http.StatusOK || !strings.Contains(got.body, "You said: Hello!") {
			t.Errorf("%+v", got)
		}
	}
	if sts := provider.Accounts()["sts"]; sts.Requests != 1 || sts.OK != 1 {
		t.Errorf("the role is assumed once, and kept: %+v", sts)
	}
	// The key alone is of no use at Bedrock.
	manifest := files["assume-role.yaml"]
	role := manifest[strings.Index(manifest, "    assumeRole:"):strings.Index(manifest, "  credentialsRef:")]
	r = serve(t, map[string]string{"a.yaml": strings.Replace(manifest, role, "", 1)})
	if got := ask(); got.status != http.StatusBadGateway {
		t.Errorf("without the role: %+v", got)
	}
}

func TestExample_Canary(t *testing.T) {
	r := serve(t, example(t, "canary"))
	if got := r.get(8080, "http://shop.example/", map[string]string{"X-Version": "canary"}); !strings.Contains(got.body, `"backend": "echo-2"`) {
		t.Errorf("a tester gets %+v", got)
	}
	canary := 0
	for range 1000 {
		if got := r.get(8080, "http://shop.example/", nil); strings.Contains(got.body, `"backend": "echo-2"`) {
			canary++
		}
	}
	if canary < 60 || canary > 140 { // 100 expected; outside of this once in 10,000 runs even if chosen at random
		t.Errorf("the canary got %d of 1000 requests", canary)
	}
	if got := r.get(8080, "http://other.example/", nil); got.status != http.StatusNotFound {
		t.Errorf("another host gets %+v", got)
	}
}

func TestExample_Mesh(t *testing.T) {
	s, err := New(Options{Paths: []string{"../../examples/mesh"}}, false)
	if err != nil {
		t.Fatal(err)
	}
	report, err := s.Load(t.Context())
	if err != nil || len(report.Problems) > 0 {
		t.Fatalf("problems %v, error %v", report.Problems, err)
	}
	for _, st := range report.Statuses {
		if st.Rejected() || len(st.Sections) != 1 {
			t.Errorf("%+v", st)
		}
	}
	if nodes := s.engine.Nodes(); !slices.Equal(nodes, []string{"mesh/shop", "mesh/tests"}) {
		t.Errorf("nodes %q", nodes)
	}
}

func TestExample_Redirect(t *testing.T) {
	r := serve(t, example(t, "redirect"))
	for path, want := range map[string]struct {
		status   int
		location string
	}{
		"/old/a?b=c": {http.StatusMovedPermanently, "http://localhost:8080/new/a?b=c"},
		"/other":     {http.StatusFound, "https://www.example.com/other"},
	} {
		got := r.get(8080, "http://localhost:8080"+path, nil)
		if got.status != want.status || got.header.Get("Location") != want.location {
			t.Errorf("%s: got %d to %q, want %d to %q", path, got.status, got.header.Get("Location"), want.status, want.location)
		}
	}
}

func TestExample_GatewayParameters(t *testing.T) {
	r := serve(t, example(t, "gateway-parameters"))
	if got := r.get(8080, "http://localhost:8080/", nil); got.status != http.StatusMovedPermanently {
		t.Errorf("got %+v", got)
	}
}

func TestExample_Headers(t *testing.T) {
	r := serve(t, example(t, "headers"))
	got := r.get(8080, "http://localhost/api/users", map[string]string{"X-Debug": "1"})
	if got.status != http.StatusOK || got.header.Get("X-Served-By") != "citoroute" {
		t.Errorf("answer: %+v", got)
	}
	for _, want := range []string{`"path": "/v2/users"`, `"X-Environment": [`, `"staging"`} {
		if !strings.Contains(got.body, want) {
			t.Errorf("the backend did not see %s:\n%s", want, got.body)
		}
	}
	if strings.Contains(got.body, "X-Debug") {
		t.Errorf("the backend saw X-Debug:\n%s", got.body)
	}
}

func TestExample_TLS(t *testing.T) {
	r := serve(t, example(t, "tls"))
	got := r.get(8080, "http://secure.example/a", nil)
	if got.status != http.StatusMovedPermanently || got.header.Get("Location") != "https://secure.example:8443/a" {
		t.Errorf("plain HTTP: %+v", got)
	}
	if got := r.get(8443, "https://secure.example/a", nil); got.status != http.StatusOK || !strings.Contains(got.body, `"path": "/a"`) {
		t.Errorf("HTTPS: %+v", got)
	}
}

func TestExample_Providers(t *testing.T) {
	r := serve(t, example(t, "providers"))
	json := map[string]string{"Content-Type": "application/json", "Authorization": "Bearer the-client's-own"}
	chat := `{"model":"fake-large","stream":%v,"messages":[{"role":"system","content":"Be brief."},{"role":"user","content":"Hello!"}]}`
	for _, provider := range []string{"openai", "anthropic", "bedrock"} {
		t.Run(provider, func(t *testing.T) {
			target := "http://localhost/" + provider + "/v1/chat/completions"
			got := r.send(8080, http.MethodPost, target, json, fmt.Sprintf(chat, false))
			if got.status != http.StatusOK || !strings.Contains(got.body, "You said: Hello!") || !strings.Contains(got.body, "chat.completion") {
				t.Errorf("chat: %+v", got)
			}
			got = r.send(8080, http.MethodPost, target, json, fmt.Sprintf(chat, true))
			if got.status != http.StatusOK || !strings.HasSuffix(got.body, "data: [DONE]\n\n") || strings.Count(got.body, "chat.completion.chunk") < 4 {
				t.Errorf("streamed chat: %+v", got)
			}
		})
	}
}

// TestExample_ProvidersWithAnAPIKey changes the example as a comment in it says.
func TestExample_ProvidersWithAnAPIKey(t *testing.T) {
	manifest := example(t, "providers")["providers.yaml"]
	pair := "  accessKeyID: " + fakellm.AccessKeyID + "\n  secretAccessKey: " + fakellm.SecretAccessKey
	if !strings.Contains(manifest, pair) || !strings.Contains(manifest, "# apiKey: "+fakellm.BedrockAPIKey) {
		t.Fatal("the example has other keys")
	}
	for key, want := range map[string]answer{
		fakellm.BedrockAPIKey: {status: http.StatusOK, body: "You said: Hello!"},
		"ABSKother":           {status: http.StatusBadGateway, body: `"code":"upstream_auth"`},
	} {
		r := serve(t, map[string]string{"a.yaml": strings.Replace(manifest, pair, "  apiKey: "+key, 1)})
		got := r.send(8080, http.MethodPost, "http://localhost/bedrock/v1/chat/completions", map[string]string{"Content-Type": "application/json"},
			`{"model":"m","messages":[{"role":"user","content":"Hello!"}]}`)
		if got.status != want.status || !strings.Contains(got.body, want.body) || strings.Contains(got.body, key) {
			t.Errorf("%s: %+v", key, got)
		}
	}
}

func TestExample_Streams(t *testing.T) {
	r := serve(t, example(t, "streams"))
	if got := r.get(9300, "http://any.example/", nil); got.status != http.StatusOK || !strings.Contains(got.body, `"backend": "echo-1"`) {
		t.Errorf("over TCP: %+v", got)
	}
	if got := r.get(8443, "https://secure.example/", nil); got.status != http.StatusOK || !strings.Contains(got.body, `"backend": "echo-2"`) {
		t.Errorf("over TLS: %+v", got)
	}
}

func TestExample_ClientAddress(t *testing.T) {
	r := serve(t, example(t, "client-address"))
	got := r.get(8081, "http://localhost/", map[string]string{"X-Forwarded-For": "198.51.100.1, 203.0.113.9", "X-Forwarded-Proto": "https"})
	for _, want := range []string{`"198.51.100.1, 203.0.113.9, 127.0.0.1"`, `"https"`} {
		if !strings.Contains(got.body, want) {
			t.Errorf("behind a proxy: %+v, want %s", got, want)
		}
	}
	ask := func(header string) string {
		at, _ := r.Addr(8080)
		conn, err := net.Dial("tcp", at.String())
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close() }()
		_, _ = io.WriteString(conn, header+"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
		b, _ := io.ReadAll(conn) // up to the end, whatever that is
		return string(b)
	}
	if got := ask("PROXY TCP4 203.0.113.9 192.0.2.1 4711 80\r\n"); !strings.Contains(got, `"203.0.113.9"`) {
		t.Errorf("behind a load balancer: %q", got)
	}
	if got := ask(""); got != "" {
		t.Errorf("without a header: %q", got)
	}
	if tries := r.Try(6); len(tries) != 1 || !strings.Contains(tries[0], " --haproxy-protocol ") {
		t.Errorf("curl lines: %q", tries)
	}
}

func TestExample_Consumers(t *testing.T) {
	files := example(t, "consumers")
	r := serve(t, files)
	comments := strings.Split(files["consumers.yaml"], "\n# ")
	line := func(begin string, nth int) string { // what a comment shows
		for _, c := range comments {
			if strings.HasPrefix(c, begin) {
				if nth--; nth < 0 {
					return strings.Fields(c)[0]
				}
			}
		}
		t.Fatalf("the example does not show %s", begin)
		return ""
	}
	alpha, beta, gamma := line("eyJ", 0), line("eyJ", 1), line("citoroute_", 0)
	type header = map[string]string
	for name, c := range map[string]struct {
		path   string
		header header
		status int
	}{
		"AlphaToken": {"/v1/chat/completions", header{"Authorization": "Bearer " + alpha}, 200}, "AlphaPrivate": {"/private/v1/chat/completions", header{"Authorization": "Bearer " + alpha}, 200},
		"GammaBearer": {"/v1/chat/completions", header{"Authorization": "Bearer " + gamma}, 200}, "GammaHeader": {"/v1/chat/completions", header{"X-Api-Key": gamma}, 200},
		"GammaPrivate": {"/private/v1/chat/completions", header{"Authorization": "Bearer " + gamma}, 403}, "BetaToken": {"/v1/chat/completions", header{"Authorization": "Bearer " + beta}, 403},
		"Nobody": {"/v1/chat/completions", nil, 401}, "UnknownKey": {"/v1/chat/completions", header{"X-Api-Key": gamma + "x"}, 401}, "Open": {"/open/v1/chat/completions", nil, 200},
		"Both": {"/v1/chat/completions", header{"Authorization": "Bearer " + alpha, "X-Api-Key": gamma}, 401},
	} {
		t.Run(name, func(t *testing.T) {
			got := r.send(8080, http.MethodPost, "http://localhost"+c.path, c.header, `{"model":"fake-large","messages":[{"role":"user","content":"Hello!"}]}`)
			if got.status != c.status || (c.status == http.StatusOK) != strings.Contains(got.body, "You said: Hello!") || (c.status == http.StatusOK) != (got.header.Get("WWW-Authenticate") == "") {
				t.Errorf("got %+v, want %d", got, c.status)
			}
		})
	}
}

func TestExample_Limits(t *testing.T) {
	r := serve(t, example(t, "limits"))
	ask := func(path, team, text string) answer {
		header := map[string]string{"Content-Type": "application/json"}
		if team != "" {
			header["Authorization"] = "Bearer citoroute_example-key-of-team-" + team + "-0123456789"
		}
		return r.send(8080, http.MethodPost, "http://localhost"+path+"/chat/completions", header,
			`{"model":"fake-large","max_tokens":50,"messages":[{"role":"user","content":"`+text+`"}]}`)
	}
	for left := 2; left >= 0; left-- {
		if got := ask("/v1", "alpha", "Hello!"); got.status != http.StatusOK || got.header.Get("X-Ratelimit-Remaining-Requests") != fmt.Sprint(left) {
			t.Errorf("%d left: %+v", left, got)
		}
	}
	if got := ask("/v1", "alpha", "Hello!"); got.status != http.StatusTooManyRequests || got.header.Get("Retry-After") == "" || !strings.Contains(got.body, `"code":"rate_limit_exceeded"`) {
		t.Errorf("the fourth: %+v", got)
	}
	if got := ask("/v1", "beta", "Hello!"); got.status != http.StatusOK || got.header.Get("X-Ratelimit-Limit-Tokens") != "500" {
		t.Errorf("the other team: %+v", got)
	}
	if got := ask("/v1", "beta", strings.Repeat("word ", 1000)); got.status != http.StatusTooManyRequests || !strings.Contains(got.body, "larger than limit tokens") {
		t.Errorf("a long prompt: %+v", got)
	}
	for i, want := range []int{http.StatusOK, http.StatusTooManyRequests} {
		if got := ask("/open/v1", "", "Hello!"); got.status != want {
			t.Errorf("guest %d: %+v", i, got)
		}
	}
}

func TestExample_Failover(t *testing.T) {
	r := serve(t, example(t, "failover"))
	json := map[string]string{"Content-Type": "application/json"}
	ask := func(model, text string) answer {
		return r.send(8080, http.MethodPost, "http://localhost/v1/chat/completions", json,
			fmt.Sprintf(`{"model":%q,"messages":[{"role":"user","content":%q}]}`, model, text))
	}
	if got := ask("gpt-5", "Hello!"); got.status != http.StatusOK || !strings.HasPrefix(got.header.Get("X-Llm-Backend"), "openai") {
		t.Errorf("gpt-5: %+v", got)
	}
	if got := ask("claude-9", "Hello!"); got.status != http.StatusOK || got.header.Get("X-Llm-Backend") != "anthropic" {
		t.Errorf("claude-9: %+v", got)
	}
	if got := ask("llama", "Hello!"); got.status != http.StatusNotFound || !strings.Contains(got.body, "model_not_found") {
		t.Errorf("llama: %+v", got)
	}
	for range 3 { // each order is obeyed by whoever gets it: the last one's answer comes back
		if got := ask("fast", "Hello! [fake status=429]"); got.status != http.StatusTooManyRequests || got.header.Get("X-Llm-Attempts") == "" {
			t.Errorf("throttled everywhere: %+v", got)
		}
	}
	got := r.get(8080, "http://localhost/v1/models", nil)
	if got.status != http.StatusOK || !strings.Contains(got.body, `{"id":"fast","object":"model"`) || strings.Contains(got.body, "*") {
		t.Errorf("models: %+v", got)
	}
}

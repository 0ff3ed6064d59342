package standalone

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/citoroute/citoroute/internal/fakellm"
	"github.com/citoroute/citoroute/internal/proxy/observe"
)

// logged is a gateway whose access log is kept.
type logged struct {
	*running
	log   bytes.Buffer
	close func()
}

func newLogged(t *testing.T, files map[string]string) *logged {
	t.Helper()
	l := &logged{}
	observer := observe.New(observe.Options{AccessLog: &l.log})
	l.close = sync.OnceFunc(observer.Close)
	t.Cleanup(l.close)
	l.running = serveWith(t, files, observer)
	return l
}

// said is what a line of the access log tells of a conversation.
type said struct {
	System, Input, Output any
}

// lines ends the gateway and returns what its access log tells.
func (l *logged) lines() (out []said) {
	l.t.Helper()
	l.stop()
	l.close()
	for line := range bytes.Lines(l.log.Bytes()) {
		var in struct {
			LLM struct {
				System any `json:"gen_ai.system_instructions"`
				Input  any `json:"gen_ai.input.messages"`
				Output any `json:"gen_ai.output.messages"`
			} `json:"llm"`
		}
		if err := json.Unmarshal(line, &in); err != nil {
			l.t.Fatalf("%v: %s", err, line)
		}
		out = append(out, said(in.LLM))
	}
	return out
}

func TestExample_ContentLog(t *testing.T) {
	l := newLogged(t, example(t, "content-log"))
	got := l.send(8080, http.MethodPost, "http://localhost/v1/chat/completions", map[string]string{"Content-Type": "application/json"},
		`{"model":"fake-large","messages":[{"role":"user","content":"Mail jane@example.org about T-1234. The password: hunter2"}]}`)
	if got.status != http.StatusOK || !strings.Contains(got.body, "jane@example.org") {
		t.Errorf("%+v", got)
	}
	const redacted = "Mail [redacted: e-mail] about [redacted: ticket]. The password: [redacted: credential]"
	want := []said{{
		Input:  []any{map[string]any{"role": "user", "parts": []any{map[string]any{"type": "text", "content": redacted}}}},
		Output: []any{map[string]any{"role": "assistant", "parts": []any{map[string]any{"type": "text", "content": "You said: " + redacted}}, "finish_reason": "stop"}},
	}}
	if diff := cmp.Diff(want, l.lines()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// conversations are requests with a secret in them, by path; each is answered
// with what it says.
func conversations(secret, stream string) map[string]string {
	text := `"tell ` + secret + ` [fake think tool=find]"`
	tools := `"tools":[{"type":"function","function":{"name":"find","parameters":{"type":"object","properties":{}}}}]`
	return map[string]string{
		"/v1/chat/completions": `{"model":"m","stream":` + stream + `,` + tools + `,"messages":[{"role":"user","content":` + text + `}]}`,
		"/v1/messages": `{"model":"m","max_tokens":99,"stream":` + stream + `,"system":"be brief","messages":[{"role":"user","content":` + text + `}],
			"tools":[{"name":"find","input_schema":{"type":"object","properties":{}}}]}`,
		"/v1/responses": `{"model":"m","stream":` + stream + `,"instructions":"be brief","input":` + text + `,
			"tools":[{"type":"function","name":"find","parameters":{"type":"object","properties":{}},"strict":false}]}`,
	}
}

// Every protocol, to every provider, whole and streamed: the log tells what was
// said and not what is secret, and so it is for the credential of the gateway.
func TestContentLog_EveryProtocol(t *testing.T) {
	manifests, err := os.ReadFile("../../examples/providers/providers.yaml")
	if err != nil {
		t.Fatal(err)
	}
	text := strings.ReplaceAll(string(manifests), "9090", backend(t, fakellm.New(fakellm.Options{})))
	const secret = "sk-abcdefgh0123456789 " + fakellm.OpenAIKey + " eyJhbGciOiJub25lIn0.eyJzdWIiOiJhIn0.c2ln"
	text = strings.ReplaceAll(text, "  parentRefs:", "  contentLog: {}\n  parentRefs:")
	l := newLogged(t, map[string]string{"providers.yaml": text})
	n := 0
	for _, provider := range []string{"/openai", "/anthropic", "/bedrock"} {
		for _, stream := range []string{"false", "true"} {
			for path, body := range conversations(secret, stream) {
				got := l.send(8080, http.MethodPost, "http://localhost"+provider+path, map[string]string{"Content-Type": "application/json", "Authorization": "Bearer client-token-0123456789"}, body)
				if got.status != http.StatusOK {
					t.Errorf("%s%s: %+v", provider, path, got)
				}
				n++
			}
		}
	}
	lines := l.lines()
	if len(lines) != n {
		t.Errorf("%d lines of %d requests", len(lines), n)
	}
	for _, secret := range append(strings.Fields(secret), "client-token") {
		if bytes.Contains(l.log.Bytes(), []byte(secret)) {
			t.Errorf("%s is in the log", secret)
		}
	}
	families, err := l.opts.Observe.Registry().Gather()
	if err != nil {
		t.Fatal(err)
	}
	if metrics := fmt.Sprint(families); strings.Contains(metrics, "tell ") || strings.Contains(metrics, "redacted") {
		t.Error("the metrics tell what was said")
	}
	for i, line := range lines {
		if input := text1(line.Input); input != "tell [redacted: key] [redacted: key] [redacted: token] [fake think tool=find]" {
			t.Errorf("%d: said %q\n%s", i, input, l.log.String())
		}
		if output, ok := line.Output.([]any); !ok || output[0].(map[string]any)["finish_reason"] != "tool_call" {
			t.Errorf("%d: answered %v", i, line.Output)
		}
	}
}

// text1 is the first text of messages.
func text1(messages any) string {
	list, ok := messages.([]any)
	if !ok || len(list) == 0 {
		return ""
	}
	text, _ := list[0].(map[string]any)["parts"].([]any)[0].(map[string]any)["content"].(string)
	return text
}

package ai

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"golang.org/x/tools/txtar"

	"github.com/citoroute/citoroute/internal/ai/bedrock"
	"github.com/citoroute/citoroute/internal/ai/chat"
	"github.com/citoroute/citoroute/internal/fakellm"
)

// TestProvidersAcceptWhatWeSend puts every golden request, whole and as a
// stream, to fakes that are as strict as the providers, signatures included
// (T81, T83), and counts what they answer (T68).
func TestProvidersAcceptWhatWeSend(t *testing.T) {
	now := time.Now()
	fake := fakellm.New(fakellm.Options{Now: func() time.Time { return now }})
	server := httptest.NewServer(fake)
	t.Cleanup(server.Close)
	files, err := filepath.Glob("testdata/requests/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	counted := map[Provider]int64{}
	for _, file := range files {
		archive, err := txtar.ParseFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range archive.Files {
			name, kind, _ := strings.Cut(f.Name, ".")
			protocol, ok := protocols[kind]
			if !ok {
				continue
			}
			for _, p := range []Provider{Anthropic, Bedrock, OpenAI} {
				if p == clientOf(protocol).native {
					continue
				}
				t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar")+"/"+name+"/"+string(p), func(t *testing.T) {
					counted[p] += accepted(t, ask{server.URL, protocol, p}, f.Data, now)
				})
			}
		}
	}
	for p, want := range counted {
		if account := fake.Accounts()[string(p)]; int64(account.Reported.Input+account.Reported.Output) != want {
			t.Errorf("%s: we counted %d tokens, the provider %+v", p, want, account.Reported)
		}
	}
}

// TestA14_TheLimitOfAnAnswer: the client's own, else the backend's, else what the
// provider needs.
func TestA14_TheLimitOfAnAnswer(t *testing.T) {
	for name, test := range map[string]struct {
		provider Provider
		members  string
		backend  int64
		want     string
	}{
		"Client":      {Anthropic, `"max_completion_tokens":7,"max_tokens":9,`, 100, `"max_tokens":7`},
		"ClientOlder": {Anthropic, `"max_tokens":9,`, 100, `"max_tokens":9`},
		"Backend":     {Anthropic, ``, 100, `"max_tokens":100`},
		"Thinks":      {Anthropic, `"reasoning_effort":"low",`, 32000, `"max_tokens":33024`},
		"Default":     {Anthropic, ``, 0, `"max_tokens":4096`},
		"Bedrock":     {Bedrock, ``, 100, `"maxTokens":100`},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := Parse(Chat, []byte(`{"model":"m",`+test.members+`"messages":[{"role":"user","content":"hi"}]}`))
			if err != nil {
				t.Fatal(err)
			}
			a, err := c.Attempt(test.provider, chat.Options{Model: models[test.provider], MaxTokens: test.backend})
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(string(a.Wire.Body), test.want) {
				t.Errorf("want %s: %s", test.want, a.Wire.Body)
			}
		})
	}
}

// TestT68_TokensAreCountedOnce: whatever way an answer takes, we count what the
// provider has told, and nothing twice.
func TestT68_TokensAreCountedOnce(t *testing.T) {
	now := time.Now()
	for _, order := range []string{"", "[fake think]", "[fake cached=2]", "[fake tool=a_b]", "[fake error-after=2]", "[fake end-after=2]", "[fake end-after=0]", "[fake status=500]"} {
		for _, stream := range []string{"true", "false"} {
			for protocol := range askers {
				for _, p := range []Provider{OpenAI, Anthropic, Bedrock} {
					t.Run(order+"/"+stream+"/"+string(protocol)+"/"+string(p), func(t *testing.T) {
						fake := fakellm.New(fakellm.Options{Now: func() time.Time { return now }})
						server := httptest.NewServer(fake)
						t.Cleanup(server.Close)
						if protocol == Responses && p == OpenAI {
							t.Skip("the fake knows no responses")
						}
						u := counts(t, ask{server.URL, protocol, p}, asking(protocol, stream, order), now)
						if got := fake.Accounts()[string(p)].Reported; int64(got.Input) != u.Prompt || int64(got.Output) != u.Completion || int64(got.Cached) != u.CacheRead {
							t.Errorf("we counted %+v, the provider %+v", u, got)
						}
					})
				}
			}
		}
	}
}

// asking is a request whose prompt ends in an order for the fake.
func asking(protocol Protocol, stream, order string) []byte {
	in := strings.NewReplacer(`"stream":true`, `"stream":`+stream, `"hi"`, `"one two three `+order+`"`, "a.b", "a_b").Replace(askers[protocol])
	if stream == "false" {
		in = strings.Replace(in, `"stream_options":{"include_usage":true},`, "", 1)
	}
	return []byte(in)
}

// counts asks a fake and returns what we count of its answer.
func counts(t *testing.T, to ask, body []byte, now time.Time) chat.Usage {
	t.Helper()
	c, err := Parse(to.protocol, body)
	if err != nil {
		t.Fatal(err)
	}
	a, err := c.Attempt(to.provider, chat.Options{Model: models[to.provider]})
	if err != nil {
		t.Fatal(err)
	}
	resp := send(t, to.url, to.provider, a.Wire, now)
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != http.StatusOK {
		return chat.Usage{}
	}
	if !c.Stream {
		out, err := a.Response(answer, 1)
		if err != nil {
			t.Fatal(err)
		}
		return out.Usage
	}
	s := a.Stream(1)
	if _, err = s.Write(nil, answer); err == nil {
		_, _ = s.Close(nil) // broken off or not: what was counted counts
	}
	u, _ := s.Usage()
	return u
}

// ask is whom a request is put to, in which client protocol.
type ask struct {
	url      string
	protocol Protocol
	provider Provider
}

// accepted sends a request and returns the tokens that the answer cost; a
// request that cannot be translated costs none.
func accepted(t *testing.T, to ask, body []byte, now time.Time) int64 {
	t.Helper()
	p := to.provider
	c, err := Parse(to.protocol, body)
	if err != nil {
		return 0
	}
	a, err := c.Attempt(p, chat.Options{Model: models[p]})
	if err != nil {
		return 0
	}
	resp := send(t, to.url, p, a.Wire, now)
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("status %d: %s\nfor %s", resp.StatusCode, answer, a.Wire.Body)
	}
	if c.Stream {
		s := a.Stream(1)
		out, err := s.Write(nil, answer)
		if err == nil {
			out, err = s.Close(out)
		}
		if err != nil || !bytes.Contains(out, []byte(endOf[to.protocol])) {
			t.Fatalf("%v\n%s", err, out)
		}
		u, _ := s.Usage()
		return u.Total()
	}
	out, err := a.Response(answer, 1)
	if err != nil || !out.Counted {
		t.Fatalf("%v, usage %v\n%s", err, out.Counted, answer)
	}
	return out.Usage.Total()
}

// endOf is what a stream of a client protocol ends with, and has nowhere else.
var endOf = map[Protocol]string{Chat: "data: [DONE]\n\n", Messages: "event: message_stop\n", Responses: "event: response.completed\n"}

func send(t *testing.T, url string, p Provider, w *chat.Wire, now time.Time) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+w.Path, bytes.NewReader(w.Body))
	if err != nil {
		t.Fatal(err)
	}
	header := w.Header
	switch p {
	case OpenAI:
		req.URL.Path = "/v1" + w.Path
		header = append(header, chat.Field{Name: "Authorization", Value: "Bearer " + fakellm.OpenAIKey})
	case Anthropic:
		header = append(header, chat.Field{Name: "X-Api-Key", Value: fakellm.AnthropicKey})
	case Bedrock:
		var signer bedrock.Signer
		signed, err := signer.Sign(t.Context(), bedrock.Signing{
			Credentials: aws.Credentials{AccessKeyID: fakellm.AccessKeyID, SecretAccessKey: fakellm.SecretAccessKey},
			Region:      "eu-central-1", Host: req.URL.Host, Path: w.Path, Header: w.Header, Body: w.Body, Time: now,
		})
		if err != nil {
			t.Fatal(err)
		}
		header = append(header, signed...)
	}
	for _, f := range header {
		req.Header.Set(f.Name, f.Value)
	}
	resp, err := (&http.Client{Timeout: time.Minute}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	return resp
}

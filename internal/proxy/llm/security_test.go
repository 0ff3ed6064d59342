package llm

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/citoroute/citoroute/internal/ai"
	"github.com/citoroute/citoroute/internal/ai/bedrock"
	"github.com/citoroute/citoroute/internal/ai/chat"
	"github.com/citoroute/citoroute/internal/ir"
	"github.com/citoroute/citoroute/internal/proxy/exchange"
	"github.com/citoroute/citoroute/internal/proxy/upstream"
)

// keysOf is a Secret with what a provider takes for a proof; Bedrock takes two.
func keysOf(provider string) *ir.Secret {
	if provider == "bedrock" {
		return &ir.Secret{Values: map[string]ir.Bytes{"accessKeyID": ir.Bytes("AKID"), "secretAccessKey": ir.Bytes("aws+secret/key"), "sessionToken": ir.Bytes("aws-token")}}
	}
	return &ir.Secret{Values: map[string]ir.Bytes{"apiKey": ir.Bytes("sk-secret")}}
}

// attempt puts body, in the protocol of OpenAI, to a provider with its key;
// "bedrock+key" is Bedrock with an API key.
func attempt(t *testing.T, provider, body string) (*Attempt, *exchange.Request, error) {
	t.Helper()
	secret := keysOf(provider)
	provider, _, _ = strings.Cut(provider, "+")
	call, err := new(Memory).Parse(ai.Chat, []byte(body), false)
	if err != nil {
		return nil, nil, err
	}
	config := &upstream.Config{
		Backend:     &ir.Backend{LLM: &ir.LLMProvider{Provider: provider, Host: "provider.example", Region: "us-east-1", Model: "claude-sonnet-4-5"}},
		Credentials: secret,
	}
	config.APIKey = upstream.APIKey(config.Credentials)
	req := &exchange.Request{Method: "POST", Authority: "gateway.example", Path: "/v1/chat/completions", Query: "key=mine&api_base=http://evil.example", HasQuery: true}
	for _, name := range []string{
		"Authorization", "x-api-key", "api-key", "x-goog-api-key", "anthropic-version", "anthropic-beta", "OpenAI-Organization", "OpenAI-Project",
		"Cookie", "X-Api-Base", "X-Forwarded-Host", "X-Amz-Security-Token", "X-Amz-Date", "X-Amz-Target", "X-Amz-Content-Sha256", "X-Jwt-Claim-Sub", "Proxy-Authorization",
	} {
		req.Header.Add(name, "mine")
	}
	a, err := call.Prepare(req, config, "")
	if err == nil {
		err = a.Authenticate(req, new(bedrock.Signer), func() time.Time { return time.Unix(1_800_000_000, 0) })
	}
	return a, req, err
}

func TestLM001_ARequestDoesNotChooseTheUpstreamOrTheKey(t *testing.T) {
	for _, field := range []string{"api_base", "base_url", "api_key", "api_version", "endpoint", "organization", `api\u005fbase`} {
		body := `{"model":"m","` + field + `":"http://evil.example","messages":[{"role":"user","content":"hello"}]}`
		for _, provider := range []string{"openai", "anthropic", "bedrock"} {
			_, _, err := attempt(t, provider, body)
			if e, ok := errors.AsType[*chat.Error](err); !ok || e.Status != 400 {
				t.Errorf("%s to %s: %v", field, provider, err)
			}
		}
	}
	for _, provider := range []string{"openai", "anthropic", "bedrock"} {
		_, req, err := attempt(t, provider, request)
		if err != nil {
			t.Fatal(err)
		}
		if req.Authority != "provider.example" || req.HasQuery || req.Query != "" || strings.Contains(req.Path, "evil") {
			t.Errorf("%s: sent to %s %s?%s", provider, req.Authority, req.Path, req.Query)
		}
	}
}

func TestLM002_ExactlyOneCredentialGoesOut(t *testing.T) {
	for provider, want := range map[string]string{"openai": "Authorization", "anthropic": "X-Api-Key", "bedrock": "Authorization", "bedrock+key": "Authorization"} {
		_, req, err := attempt(t, provider, request)
		if err != nil {
			t.Fatal(err)
		}
		credentials := 0
		for f := range req.Header.All() {
			if strings.Contains(f.Value, "mine") {
				t.Errorf("%s: %s of the client goes out", provider, f.Name)
			}
			switch strings.ToLower(f.Name) {
			case "authorization", "x-api-key", "api-key", "x-goog-api-key", "cookie", "proxy-authorization":
				credentials++
			}
		}
		if credentials != 1 || !req.Header.Has(want) {
			t.Errorf("%s: %d credentials, %s: %v", provider, credentials, want, req.Header.Has(want))
		}
	}
}

// TestLM002_AnAPIKeyOfBedrockIsNoSignature: AWS is told who asks in one way, and
// never as somebody else than the role that is configured.
func TestLM002_AnAPIKeyOfBedrockIsNoSignature(t *testing.T) {
	apiKey, accessKey := keysOf("bedrock+key"), keysOf("bedrock")
	both := &ir.Secret{Values: maps.Clone(accessKey.Values)}
	maps.Copy(both.Values, apiKey.Values)
	role := &ir.AWSRole{ARN: "arn:aws:iam::123456789012:role/bedrock", SessionName: "citoroute"}
	for name, test := range map[string]struct {
		secret *ir.Secret
		role   *ir.AWSRole
		want   string // how Authorization begins; "": 500
	}{
		"APIKey":       {apiKey, nil, "Bearer sk-secret"},
		"AccessKey":    {accessKey, nil, "AWS4-HMAC-SHA256 "},
		"Both":         {both, nil, "Bearer sk-secret"},
		"APIKeyToRole": {apiKey, role, ""},
	} {
		t.Run(name, func(t *testing.T) {
			p := ir.LLMProvider{Provider: "bedrock", Host: "h", Region: "us-east-1", Model: "a:0", AssumeRole: test.role}
			a, req, err := prepare(t, p, test.secret)
			if e, ok := errors.AsType[*chat.Error](err); test.want == "" {
				if !ok || e.Status != 500 || req.Header.Has("Authorization") {
					t.Errorf("%v, %v", err, req.Header)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			got, _ := req.Header.Get("Authorization")
			if !strings.HasPrefix(got, test.want) {
				t.Errorf("Authorization: %s", got)
			}
			signature := strings.HasPrefix(test.want, "AWS4")
			for _, field := range []string{"X-Amz-Date", "X-Amz-Content-Sha256", "X-Amz-Security-Token"} {
				if req.Header.Has(field) != signature {
					t.Errorf("%s: %v", field, req.Header.Has(field))
				}
			}
			skewed := answer(403, "application/json", "{}")
			skewed.Header.Add("X-Amzn-Errortype", "InvalidSignatureException")
			skewed.Header.Add("Date", "Fri, 15 Jan 2027 09:00:00 GMT")
			if _, again := a.Skew(skewed); again != signature {
				t.Errorf("it is sent once more for its signature: %v", again)
			}
		})
	}
}

// TestLM003_ARedirectIsNotFollowed has the client get neither the redirect nor
// where it leads; LM-025 asks the same of other statuses that are no answer.
func TestLM003_ARedirectIsNotFollowed(t *testing.T) {
	for _, status := range []int{301, 302, 303, 307, 308, 304, 300} {
		a, _, err := attempt(t, "openai", request)
		if err != nil {
			t.Fatal(err)
		}
		resp := answer(status, "text/html", "<a href=\"http://evil.example\">moved</a>")
		resp.Header.Add("Location", "http://evil.example/v1/chat/completions")
		err = a.Answer(resp, firstSecond(), firstSecond)
		if e, ok := errors.AsType[*chat.Error](err); !ok || e.Status != 502 || strings.Contains(e.Message, "evil") || resp.Header.Has("Location") {
			t.Errorf("%d: %v, %v", status, err, resp.Header)
		}
	}
}

func TestLM004_WhatAProviderEchoesHoldsNoSecret(t *testing.T) {
	echo := "denied: Authorization: Bearer sk-secret, key aws+secret/key, token aws-token"
	quoted, _ := json.Marshal(echo)
	for provider, body := range map[string]string{
		"openai":      `{"error":{"message":` + string(quoted) + `,"type":"invalid_request_error","code":"sk-secret","param":"sk-secret"}}`,
		"anthropic":   `{"type":"error","error":{"type":"permission_error","message":` + string(quoted) + `}}`,
		"bedrock":     `{"message":` + string(quoted) + `}`,
		"bedrock+key": `{"message":` + string(quoted) + `}`,
	} {
		for kind, text := range map[string]string{"JSON": body, "Text": echo, "HTML": "<pre>" + echo + "</pre>", "Long": strings.Repeat(echo, 10_000), "Cut": strings.Repeat("x", 4<<10-8) + secretOf(provider)} {
			t.Run(provider+kind, func(t *testing.T) {
				a, _, err := attempt(t, provider, request)
				if err != nil {
					t.Fatal(err)
				}
				resp := answer(403, "application/json", text)
				if err := a.Answer(resp, firstSecond(), firstSecond); err != nil {
					t.Fatal(err)
				}
				b, err := io.ReadAll(resp.Body)
				out := string(b) + fmt.Sprint(a.Err())
				for _, s := range a.secrets {
					if s != "" && strings.Contains(out, s[:7]) {
						t.Errorf("%q is in %s", s, out[:min(len(out), 500)])
					}
				}
				if err != nil || a.secrets[0] == "" || len(b) > 8<<10 {
					t.Errorf("%v, %q, %d bytes", err, a.secrets, len(b))
				}
			})
		}
	}
}

// secretOf is a secret that a provider is asked with.
func secretOf(provider string) string {
	if provider == "bedrock" {
		return "aws+secret/key"
	}
	return "sk-secret"
}

func TestLM004_NorInTheMiddleOfAStream(t *testing.T) {
	begun := `data: {"id":"x","object":"chat.completion.chunk","model":"m","choices":[{"index":0,"delta":{"content":"hi"}}]}` + "\n\n"
	failed := `data: {"error":{"message":"key sk-secret was revoked","type":"server_error"}}` + "\n\n"
	for name, stream := range map[string]string{"First": failed, "Later": begun + failed} {
		t.Run(name, func(t *testing.T) {
			a, _, err := attempt(t, "openai", `{"model":"m","stream":true,"messages":[{"role":"user","content":"hello"}]}`)
			if err != nil {
				t.Fatal(err)
			}
			resp := answer(200, "text/event-stream", stream)
			out := ""
			if err := a.Answer(resp, firstSecond(), firstSecond); err != nil {
				out = err.Error()
			} else {
				b, _ := io.ReadAll(resp.Body)
				out = string(b)
			}
			out += fmt.Sprint(a.Err())
			if strings.Contains(out, "sk-secret") || !strings.Contains(out, "was revoked") {
				t.Error(out)
			}
		})
	}
}

func TestLM006_TheAccountOfTheGatewayIsNotShown(t *testing.T) {
	for _, status := range []int{200, 429, 500} {
		a, _, err := attempt(t, "openai", request)
		if err != nil {
			t.Fatal(err)
		}
		resp := answer(status, "application/json", `{"id":"x","object":"chat.completion","model":"m","choices":[]}`)
		for _, name := range []string{
			"Set-Cookie", "openai-organization", "openai-project", "openai-version", "x-ratelimit-limit-requests", "x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens",
			"anthropic-ratelimit-requests-remaining", "anthropic-organization-id", "X-Amzn-Errortype", "Server", "Via", "Alt-Svc", "Strict-Transport-Security", "CF-Ray",
			"Connection", "Keep-Alive", "Transfer-Encoding", "Trailer", "Upgrade", "Location", "WWW-Authenticate", "Access-Control-Allow-Origin",
		} {
			resp.Header.Add(name, "account")
		}
		resp.Trailer.Add("openai-organization", "account")
		if err := a.Answer(resp, firstSecond(), firstSecond); err != nil {
			t.Fatal(err)
		}
		for f := range resp.Header.All() {
			if f.Value == "account" {
				t.Errorf("%d: %s goes to the client", status, f.Name)
			}
		}
		if resp.Trailer.Len() != 0 || !resp.Header.Has("Retry-After") {
			t.Errorf("%d: trailer %v, header %v", status, resp.Trailer, resp.Header)
		}
	}
}

// TestLM007_NothingThatAClientNamesIsFetched listens where the URLs lead.
func TestLM007_NothingThatAClientNamesIsFetched(t *testing.T) {
	ln, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	visited := make(chan struct{}, 100)
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				close(visited)
				return
			}
			visited <- struct{}{}
			_ = c.Close()
		}
	}()
	_, port, _ := net.SplitHostPort(ln.Addr().String())
	for _, url := range []string{
		"http://169.254.169.254/latest/meta-data/", "file:///etc/passwd", "gopher://127.0.0.1:" + port + "/", "http://127.0.0.1:" + port + "/x.png",
		"http://[::ffff:127.0.0.1]:" + port + "/x.png", `http://a\@127.0.0.1:` + port + "/", "http://127.0.0.1:" + port + "/#@ok.example",
		"http://2130706433:" + port + "/", "http://0177.0.0.1:" + port + "/", "http://localhost:" + port + "/x.pdf", "s3://bucket/x.png", "//127.0.0.1:" + port + "/",
	} {
		quoted, _ := json.Marshal(url)
		for _, part := range []string{
			`{"type":"image_url","image_url":{"url":` + string(quoted) + `}}`,
			`{"type":"file","file":{"file_data":` + string(quoted) + `}}`,
			`{"type":"input_audio","input_audio":{"data":` + string(quoted) + `,"format":"mp3"}}`,
		} {
			for _, provider := range []string{"openai", "anthropic", "bedrock"} {
				body := `{"model":"m","messages":[{"role":"user","content":[{"type":"text","text":"see"},` + part + `]}]}`
				a, _, err := attempt(t, provider, body)
				if e, ok := errors.AsType[*chat.Error](err); err != nil && (!ok || e.Status != 400) {
					t.Errorf("%s to %s: %v", part, provider, err)
				}
				if provider == "openai" && err == nil && !strings.Contains(string(a.Wire.Body), part) {
					t.Errorf("%s is changed on the way to a provider of the same protocol", part)
				}
			}
		}
	}
	_ = ln.Close()
	for range visited {
		t.Error("the gateway went where a client pointed")
	}
}

func TestLM025_WhatIsNoStreamIsNotGivenOutAsOne(t *testing.T) {
	whole := `{"id":"x","object":"chat.completion","model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"hi"},"finish_reason":"stop"}]}`
	for name, test := range map[string]struct {
		status     int
		kind, body string
		coding     string
		want       int
	}{
		"HTML":           {200, "text/html", "<html>busy</html>", "", 502},
		"HTMLAsStream":   {200, "text/event-stream", "<html>busy</html>", "", 502},
		"JSON":           {200, "application/json", whole, "", 502},
		"Redirect":       {302, "text/html", "moved", "", 502},
		"Empty":          {200, "text/event-stream", "", "", 502},
		"NoContent":      {204, "", "", "", 502},
		"NoType":         {200, "", "data: {}", "", 502},
		"OnlyComments":   {200, "text/event-stream", ": ping\n\n: ping\n\n", "", 502},
		"Compressed":     {200, "text/event-stream", "\x1f\x8b", "gzip", 502},
		"ErrorInJSON":    {200, "application/json", `{"error":{"message":"busy","type":"server_error"}}`, "", 502},
		"AnotherStreams": {200, "application/vnd.amazon.eventstream", "\x00\x00\x00\x10", "", 502},
	} {
		t.Run(name, func(t *testing.T) {
			for _, provider := range []string{"openai", "anthropic", "bedrock"} {
				a, _, err := attempt(t, provider, `{"model":"m","stream":true,"messages":[{"role":"user","content":"hello"}]}`)
				if err != nil {
					t.Fatal(err)
				}
				resp := answer(test.status, test.kind, test.body)
				if test.coding != "" {
					resp.Header.Add("Content-Encoding", test.coding)
				}
				err = a.Answer(resp, firstSecond(), firstSecond)
				if e, ok := errors.AsType[*chat.Error](err); !ok || e.Status != test.want {
					b, _ := io.ReadAll(resp.Body)
					t.Errorf("%s: %v, %d %s", provider, err, resp.Status, b)
				}
			}
		})
	}
}

// TestLM028_ParametersAreNamedSafely: the names of parameters are the client's,
// and those that were dropped are told in a header field.
func TestLM028_ParametersAreNamedSafely(t *testing.T) {
	long := strings.Repeat("y", 1000)
	for name, test := range map[string]struct {
		members, want string
	}{
		"Plain":    {`,"seed":1,"logit_bias":{"1":2}`, "logit_bias, seed"},
		"Newline":  {`,"a\r\nSet-Cookie: b":1,"seed":1`, "seed, other"},
		"Comma":    {`,"a, b":1`, "other"},
		"Empty":    {`,"":1`, "other"},
		"Foreign":  {`,"größe":1,"\u0000":2`, "other"},
		"Long":     {`,"` + long + `":1`, "other"},
		"TooMany":  {`,"` + strings.Join(many(100), `":1,"`) + `":1`, strings.Join(many(maxDropped), ", ") + ", other"},
		"JustFits": {`,"` + strings.Join(many(maxDropped), `":1,"`) + `":1`, strings.Join(many(maxDropped), ", ")},
	} {
		t.Run(name, func(t *testing.T) {
			call, err := new(Memory).Parse(ai.Chat, []byte(`{"model":"m","messages":[{"role":"user","content":"hello"}]`+test.members+`}`), false)
			if err != nil {
				t.Fatal(err)
			}
			config := &upstream.Config{Backend: &ir.Backend{LLM: &ir.LLMProvider{Provider: "anthropic", Host: "h"}}}
			a, err := call.Prepare(&exchange.Request{Method: "POST"}, config, "")
			if err != nil {
				t.Fatal(err)
			}
			resp := answer(200, "application/json", `{"content":[{"type":"text","text":"hi"}],"usage":{}}`)
			if err := a.Answer(resp, time.Now(), time.Now); err != nil {
				t.Fatal(err)
			}
			if got, _ := resp.Header.Get("X-Llm-Dropped-Params"); got != test.want {
				t.Errorf("%q, want %q", got, test.want)
			}
		})
	}
}

// many are n names in order.
func many(n int) []string {
	var out []string
	for i := range n {
		out = append(out, fmt.Sprintf("p%03d", i))
	}
	return out
}

// TestLM029_NoTokenOfAnotherSession: where temporary credentials are followed by
// lasting ones between two sendings, nothing of the first is left.
func TestLM029_NoTokenOfAnotherSession(t *testing.T) {
	const field = "X-Amz-Security-Token"
	now := func() time.Time { return time.Unix(1_800_000_000, 0) }
	a, req, err := prepare(t, ir.LLMProvider{Provider: "bedrock", Host: "h", Region: "eu-west-1"}, keysOf("bedrock"))
	if err != nil {
		t.Fatal(err)
	}
	if got, _ := req.Header.Get(field); got != "aws-token" {
		t.Fatalf("the token is %q", got)
	}
	a.backend.Credentials = &ir.Secret{Values: map[string]ir.Bytes{"accessKeyID": ir.Bytes("AKID2"), "secretAccessKey": ir.Bytes("other")}}
	if err := a.Authenticate(req, new(bedrock.Signer), now); err != nil {
		t.Fatal(err)
	}
	if req.Header.Has(field) {
		t.Error("the token of the first credentials is sent with the second")
	}
}

package fakellm

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	signer "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/google/go-cmp/cmp"

	"github.com/citoroute/citoroute/internal/ai/eventstream"
	"github.com/citoroute/citoroute/internal/ai/sse"
)

const (
	openAIPath    = "/v1/chat/completions"
	anthropicPath = "/v1/messages"
	bedrockPath   = "/model/eu.claude/converse"
)

func start(t *testing.T) *httptest.Server {
	t.Helper()
	srv := httptest.NewServer(New(Options{}))
	t.Cleanup(srv.Close)
	return srv
}

// request builds a request with the credential of the provider that path belongs to.
func request(t *testing.T, base, path, body string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, base+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	switch {
	case strings.HasPrefix(path, anthropicPath):
		r.Header.Set("X-Api-Key", AnthropicKey)
		r.Header.Set("Anthropic-Version", "2023-06-01")
	case strings.HasPrefix(path, "/model/"):
		sign(t, r, body)
	default:
		r.Header.Set("Authorization", "Bearer "+OpenAIKey)
	}
	return r
}

// bearerOnly proves a request by an API key and not by a signature.
func bearerOnly(key string) func(*http.Request) {
	return func(r *http.Request) {
		for _, name := range []string{"X-Amz-Date", "X-Amz-Security-Token", "X-Amz-Content-Sha256"} {
			r.Header.Del(name)
		}
		r.Header.Set("Authorization", "Bearer "+key)
	}
}

func sign(t *testing.T, r *http.Request, body string) {
	t.Helper()
	who := aws.Credentials{AccessKeyID: AccessKeyID, SecretAccessKey: SecretAccessKey, SessionToken: "session"}
	if err := signer.NewSigner().SignHTTP(t.Context(), who, r, hash([]byte(body)), "bedrock", "eu-central-1", time.Now()); err != nil {
		t.Fatal(err)
	}
}

// reply is what a request got.
type reply struct {
	status      int
	contentType string
	body        string // with the error that ended it, if one did
}

func do(t *testing.T, r *http.Request) reply {
	t.Helper()
	client := http.Client{}
	res, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		b = append(b, " <"+err.Error()+">"...)
	}
	return reply{res.StatusCode, res.Header.Get("Content-Type"), string(b)}
}

func TestServer_AnswersInEveryProtocol(t *testing.T) {
	for name, tc := range map[string]struct{ path, body, want string }{
		"OpenAI": {
			openAIPath, `{"model":"gpt","messages":[{"role":"user","content":"Hello there"}]}`,
			`"content":"You said: Hello there"`,
		},
		"OpenAITool": {
			openAIPath, `{"model":"gpt","messages":[{"role":"user","content":"Hi"}],"tool_choice":"required","tools":[{"type":"function","function":{"name":"add","parameters":{"type":"object","properties":{"a":{"type":"integer"}}}}}]}`,
			`"function":{"arguments":"{\"a\":1}","name":"add"}`,
		},
		"OpenAIToolResult": {
			openAIPath, `{"model":"gpt","messages":[{"role":"user","content":"Hi"},{"role":"assistant","content":null,"tool_calls":[{"id":"1","type":"function","function":{"name":"add","arguments":"{}"}}]},{"role":"tool","tool_call_id":"1","content":"42"}]}`,
			`"content":"The tools said: 42"`,
		},
		"Anthropic": {
			anthropicPath, `{"model":"claude","max_tokens":9,"messages":[{"role":"user","content":"Hello there"}]}`,
			`{"text":"You said: Hello there","type":"text"}`,
		},
		"AnthropicThinks": {
			anthropicPath, `{"model":"claude","max_tokens":2000,"thinking":{"type":"enabled","budget_tokens":1024},"messages":[{"role":"user","content":"Hi"}]}`,
			`"thinking":"Someone said something. I repeat it."`,
		},
		"AnthropicLength": {
			anthropicPath, `{"model":"claude","max_tokens":2,"messages":[{"role":"user","content":"Hi"}]}`,
			`"stop_reason":"max_tokens"`,
		},
		"Bedrock": {
			bedrockPath, `{"messages":[{"role":"user","content":[{"text":"Hello there"}]}]}`,
			`{"text":"You said: Hello there"}`,
		},
		"BedrockARN": {
			"/model/arn%3Aaws%3Abedrock%3Aeu%3A1%3Ainference-profile%2Feu.claude/converse", `{"messages":[{"role":"user","content":[{"text":"Hi"}]}]}`,
			`{"text":"You said: Hi"}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			srv := start(t)
			res := do(t, request(t, srv.URL, tc.path, tc.body))
			if res.status != http.StatusOK || !strings.Contains(res.body, tc.want) {
				t.Errorf("got %d %s\nwant 200 with %s", res.status, res.body, tc.want)
			}
		})
	}
}

func TestServer_BedrockTakesAnAPIKey(t *testing.T) {
	srv := start(t)
	for path, body := range map[string]string{
		bedrockPath:             `{"messages":[{"role":"user","content":[{"text":"Hello there"}]}]}`,
		bedrockPath + "-stream": `{"messages":[{"role":"user","content":[{"text":"Hello there"}]}]}`,
		"/model/amazon.titan-embed-text-v2%3A0/invoke": `{"inputText":"Hello there"}`,
	} {
		r := request(t, srv.URL, path, body)
		bearerOnly(BedrockAPIKey)(r)
		if res := do(t, r); res.status != http.StatusOK {
			t.Errorf("%s: %d %s", path, res.status, res.body)
		}
	}
}

func TestServer_StreamsSpellTheSameAnswer(t *testing.T) {
	const want = "You said: one two"
	for name, tc := range map[string]struct{ path, body string }{
		"OpenAI":    {openAIPath, `{"model":"gpt","stream":true,"stream_options":{"include_usage":true},"messages":[{"role":"user","content":"one two"}]}`},
		"Anthropic": {anthropicPath, `{"model":"claude","stream":true,"max_tokens":9,"messages":[{"role":"user","content":"one two"}]}`},
		"Bedrock":   {bedrockPath + "-stream", `{"messages":[{"role":"user","content":[{"text":"one two"}]}]}`},
	} {
		t.Run(name, func(t *testing.T) {
			srv := start(t)
			res := do(t, request(t, srv.URL, tc.path, tc.body))
			if got := spelled(t, res.contentType, res.body); got != want {
				t.Errorf("stream spells %q, want %q:\n%s", got, want, res.body)
			}
		})
	}
}

// spelled joins the text deltas of a stream of any of the protocols.
func spelled(t *testing.T, contentType, body string) string {
	t.Helper()
	var text strings.Builder
	read := func(data []byte) {
		var ev struct {
			Choices []struct {
				Delta struct{ Content string }
			}
			Delta struct{ Text string }
		}
		if json.Unmarshal(data, &ev) != nil {
			return // [DONE]
		}
		for _, c := range ev.Choices {
			text.WriteString(c.Delta.Content)
		}
		text.WriteString(ev.Delta.Text)
	}
	var err error
	if contentType == "application/vnd.amazon.eventstream" {
		err = new(eventstream.Decoder).Write([]byte(body), func(m eventstream.Message) error {
			read(m.Payload)
			return nil
		})
	} else {
		err = new(sse.Decoder).Write([]byte(body), func(e sse.Event) error {
			read(e.Data)
			return nil
		})
	}
	if err != nil {
		t.Fatal(err)
	}
	return text.String()
}

func TestServer_Refuses(t *testing.T) {
	hello := `"messages":[{"role":"user","content":"Hi"}]`
	for name, tc := range map[string]struct {
		path, body string
		change     func(*http.Request)
		status     int
		want       string
	}{
		"OpenAINoKey":          {openAIPath, `{}`, func(r *http.Request) { r.Header.Del("Authorization") }, 401, "API key"},
		"OpenAIWrongKey":       {openAIPath, `{}`, func(r *http.Request) { r.Header.Set("Authorization", "Bearer x") }, 401, "invalid_api_key"},
		"OpenAIUnknownField":   {openAIPath, `{"model":"m",` + hello + `,"top_k":1}`, nil, 400, "Unrecognized request argument supplied: top_k"},
		"OpenAINoMessages":     {openAIPath, `{"model":"m"}`, nil, 400, "messages"},
		"OpenAINotJSON":        {openAIPath, `{`, nil, 400, "parse"},
		"OpenAITwoValues":      {openAIPath, `{"model":"m",` + hello + `}{}`, nil, 400, "after"},
		"OpenAIStreamOptions":  {openAIPath, `{"model":"m",` + hello + `,"stream_options":{"include_usage":true}}`, nil, 400, "stream_options"},
		"OpenAIOrphanResult":   {openAIPath, `{"model":"m","messages":[{"role":"tool","tool_call_id":"1","content":"x"}]}`, nil, 400, "must be a response"},
		"OpenAIOpenCall":       {openAIPath, `{"model":"m","messages":[{"role":"assistant","tool_calls":[{"id":"1","type":"function","function":{"name":"f","arguments":""}}]},{"role":"user","content":"x"}]}`, nil, 400, "must be followed"},
		"OpenAIForm":           {openAIPath, `{}`, func(r *http.Request) { r.Header.Set("Content-Type", "text/plain") }, 415, "Content-Type"},
		"AnthropicNoKey":       {anthropicPath, `{}`, func(r *http.Request) { r.Header.Del("X-Api-Key") }, 401, "authentication_error"},
		"AnthropicClientKey":   {anthropicPath, `{}`, func(r *http.Request) { r.Header.Set("Authorization", "Bearer client") }, 401, "invalid x-api-key"},
		"AnthropicNoVersion":   {anthropicPath, `{}`, func(r *http.Request) { r.Header.Del("Anthropic-Version") }, 400, "anthropic-version"},
		"AnthropicNoLimit":     {anthropicPath, `{"model":"m",` + hello + `}`, nil, 400, "max_tokens: Field required"},
		"AnthropicUnknown":     {anthropicPath, `{"model":"m","max_tokens":1,` + hello + `,"n":1}`, nil, 400, "n: Extra inputs"},
		"AnthropicSystemRole":  {anthropicPath, `{"model":"m","max_tokens":1,"messages":[{"role":"system","content":"x"}]}`, nil, 400, "Input should be 'user' or 'assistant'"},
		"AnthropicBlank":       {anthropicPath, `{"model":"m","max_tokens":1,"messages":[{"role":"user","content":" "}]}`, nil, 400, "non-whitespace"},
		"AnthropicSchema":      {anthropicPath, `{"model":"m","max_tokens":1,` + hello + `,"tools":[{"name":"f","input_schema":{}}]}`, nil, 400, "Input should be 'object'"},
		"AnthropicHot":         {anthropicPath, `{"model":"m","max_tokens":1,` + hello + `,"temperature":1.5}`, nil, 400, "temperature"},
		"AnthropicCount":       {anthropicPath + "/count_tokens", `{"model":"m","max_tokens":1,` + hello + `}`, nil, 400, "max_tokens: Extra inputs"},
		"AnthropicMail":        {anthropicPath, `{"model":"m","max_tokens":1,` + hello + `,"metadata":{"user_id":"a@b.c"}}`, nil, 400, "email"},
		"AnthropicThoughts":    {anthropicPath, `{"model":"m","max_tokens":2000,"thinking":{"type":"enabled","budget_tokens":1024},"messages":[{"role":"user","content":"x"},{"role":"assistant","content":[{"type":"tool_use","id":"1","name":"f","input":{}}]},{"role":"user","content":[{"type":"tool_result","tool_use_id":"1"}]}]}`, nil, 400, "but found `tool_use`"},
		"OpenAILongUser":       {openAIPath, `{"model":"m",` + hello + `,"user":"` + strings.Repeat("u", 65) + `"}`, nil, 400, "'user': string too long"},
		"BedrockUnsigned":      {bedrockPath, `{}`, func(r *http.Request) { r.Header.Del("Authorization") }, 403, "Missing Authentication Token"},
		"BedrockWrongAPIKey":   {bedrockPath, `{}`, bearerOnly("ABSKother"), 403, "make sure your API Key is valid"},
		"BedrockOpenAIKey":     {bedrockPath, `{}`, bearerOnly(OpenAIKey), 403, "make sure your API Key is valid"},
		"BedrockKeyAndSigned":  {bedrockPath, `{}`, func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+BedrockAPIKey) }, 403, "a part of a signature"},
		"BedrockTwoProofs":     {bedrockPath, `{}`, func(r *http.Request) { r.Header.Add("Authorization", "Bearer "+BedrockAPIKey) }, 403, "two Authorization"},
		"BedrockTampered":      {bedrockPath, `{}`, func(r *http.Request) { r.Header.Set("X-Amz-Security-Token", "other") }, 403, "does not match"},
		"BedrockOtherPath":     {bedrockPath, `{}`, func(r *http.Request) { r.URL.Path = "/model/other/converse" }, 403, "does not match"},
		"BedrockUnknown":       {bedrockPath, `{"model":"m"}`, nil, 400, "extraneous key [model]"},
		"BedrockOrder":         {bedrockPath, `{"messages":[{"role":"assistant","content":[{"text":"x"}]}]}`, nil, 400, "must start with a user message"},
		"BedrockRepeats":       {bedrockPath, `{"messages":[{"role":"user","content":[{"text":"x"}]},{"role":"user","content":[{"text":"x"}]}]}`, nil, 400, "alternate"},
		"BedrockBlank":         {bedrockPath, `{"messages":[{"role":"user","content":[{"text":""}]}]}`, nil, 400, "blank"},
		"BedrockToolConfig":    {bedrockPath, `{"messages":[{"role":"user","content":[{"toolResult":{"toolUseId":"1","content":[]}}]}]}`, nil, 400, "toolConfig field must be defined"},
		"BedrockBitmap":        {bedrockPath, `{"messages":[{"role":"user","content":[{"image":{"format":"bmp","source":{"bytes":"QUJD"}}}]}]}`, nil, 400, "enum value set"},
		"BedrockNoBytes":       {bedrockPath, `{"messages":[{"role":"user","content":[{"image":{"format":"png","source":{}}}]}]}`, nil, 400, "bytes, s3Location"},
		"BedrockDocumentAlone": {bedrockPath, `{"messages":[{"role":"user","content":[{"document":{"name":"a","format":"pdf","source":{"bytes":"QUJD"}}}]}]}`, nil, 400, "no text"},
		"BedrockDocumentName":  {bedrockPath, `{"messages":[{"role":"user","content":[{"text":"x"},{"document":{"name":"a  b.pdf","format":"pdf","source":{"bytes":"QUJD"}}}]}]}`, nil, 400, "document name is invalid"},
		"BedrockDocumentTwice": {bedrockPath, `{"messages":[{"role":"user","content":[{"text":"x"},{"document":{"name":"a","format":"pdf","source":{"bytes":"QUJD"}}},{"document":{"name":"a","format":"pdf","source":{"bytes":"QUJD"}}}]}]}`, nil, 400, "must be unique"},
		"BedrockCachePoint":    {bedrockPath, `{"messages":[{"role":"user","content":[{"text":"x"},{"cachePoint":{"type":"default","ttl":"2h"}}]}]}`, nil, 400, "ttl 5m or 1h"},
		"BedrockSnakeCase":     {bedrockPath, `{"messages":[{"role":"user","content":[{"text":"x"}]}],"toolConfig":{"tools":[],"tool_choice":{}}}`, nil, 400, "extraneous key [tool_choice]"},
	} {
		t.Run(name, func(t *testing.T) {
			srv := start(t)
			r := request(t, srv.URL, tc.path, tc.body)
			if tc.change != nil {
				tc.change(r)
			}
			res := do(t, r)
			if res.status != tc.status || !strings.Contains(res.body, tc.want) {
				t.Errorf("got %d %s\nwant %d with %q", res.status, res.body, tc.status, tc.want)
			}
		})
	}
}

func TestServer_ObeysOrders(t *testing.T) {
	for name, tc := range map[string]struct {
		orders, stream string
		status         int
		want, without  string
	}{
		"Status":     {"status=429 retry-after=7", "false", 429, "rate_limit_error", "You"},
		"Plain":      {"status=502 plain", "false", 502, "upstream trouble", "{"},
		"ErrorAfter": {"error-after=1", "true", 200, `{"error":`, "[DONE]"},
		"CutAfter":   {"cut-after=1", "true", 200, "unexpected EOF", "[DONE]"},
		"EndAfter":   {"end-after=1", "true", 200, `"You"`, "[DONE]"},
		"Unknown":    {"dance=1", "false", 400, "dance", "You"},
	} {
		t.Run(name, func(t *testing.T) {
			srv := start(t)
			res := do(t, request(t, srv.URL, openAIPath, `{"model":"m","stream":`+tc.stream+`,"messages":[{"role":"user","content":"Hi [fake `+tc.orders+`]"}]}`))
			if res.status != tc.status || !strings.Contains(res.body, tc.want) || strings.Contains(res.body, tc.without) {
				t.Errorf("got %d %s\nwant %d with %q and without %q", res.status, res.body, tc.status, tc.want, tc.without)
			}
		})
	}
}

func TestServer_KeepsAccount(t *testing.T) {
	fake := New(Options{})
	srv := httptest.NewServer(fake)
	t.Cleanup(srv.Close)
	send := func(orders, stream string) {
		do(t, request(t, srv.URL, openAIPath, `{"model":"m","stream":`+stream+`,"messages":[{"role":"user","content":"one two [fake `+orders+`]"}]}`))
	}
	send("cached=1", "false") // 2 in, 4 out; the orders are words of the prompt: 2 more
	send("status=500", "false")
	send("cut-after=2", "true")
	hang, cancel := context.WithCancel(t.Context())
	r := request(t, srv.URL, openAIPath, `{"model":"m","stream":true,"messages":[{"role":"user","content":"Hi [fake hang-after=1]"}]}`)
	client := http.Client{}
	res, err := client.Do(r.WithContext(hang))
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	_ = res.Body.Close()
	want := Account{
		Requests: 4, OK: 1, Failed: 1, Broken: 1, Cancelled: 1, Streams: 2,
		Reported: Tokens{Input: 4, Cached: 1, Output: 4},
		ByModel:  map[string]Tokens{"m": {Input: 4, Cached: 1, Output: 4}},
	}
	checkAccount(t, fake, want)
}

// checkAccount compares OpenAI's account when all requests are in it: one that
// was cut off or left is noted after its client knows.
func checkAccount(t *testing.T, fake *Server, want Account) {
	t.Helper()
	look, timeout := time.NewTicker(time.Millisecond), time.After(5*time.Second)
	defer look.Stop()
	for fake.Accounts()["openai"].Requests < want.Requests {
		select {
		case <-look.C:
		case <-timeout:
			t.Fatalf("account: %+v", fake.Accounts())
		}
	}
	if diff := cmp.Diff(want, fake.Accounts()["openai"]); diff != "" {
		t.Errorf("account differs (-want +got):\n%s", diff)
	}
}

func TestServer_EmbedsAndLists(t *testing.T) {
	srv := start(t)
	float := do(t, request(t, srv.URL, "/v1/embeddings", `{"model":"fake-embedding","input":["a","b c"],"dimensions":2}`))
	var got struct {
		Data []struct{ Embedding []float64 }
		Us   struct {
			In int `json:"prompt_tokens"`
		} `json:"usage"`
	}
	if err := json.Unmarshal([]byte(float.body), &got); err != nil || len(got.Data) != 2 || len(got.Data[0].Embedding) != 2 || got.Us.In != 3 {
		t.Errorf("embeddings: %v: %s", err, float.body)
	}
	base64 := do(t, request(t, srv.URL, "/v1/embeddings", `{"model":"fake-embedding","input":"a","encoding_format":"base64"}`))
	if !strings.Contains(base64.body, `"embedding":"`) {
		t.Errorf("base64 embedding: %s", base64.body)
	}
	count := do(t, request(t, srv.URL, anthropicPath+"/count_tokens", `{"model":"m","system":"a b","messages":[{"role":"user","content":"c d e"}]}`))
	if count.status != 200 || count.body != `{"input_tokens":5}` {
		t.Errorf("tokens: %d %s", count.status, count.body)
	}
	r := request(t, srv.URL, "/v1/models", "")
	r.Method, r.Body = http.MethodGet, nil
	r.ContentLength = 0
	if res := do(t, r); res.status != 200 || !strings.Contains(res.body, "fake-large") {
		t.Errorf("models: %d %s", res.status, res.body)
	}
}

func TestInvoke_RefusesWhatTheModelWouldNotTake(t *testing.T) {
	srv := start(t)
	const titan, cohere = "/model/amazon.titan-embed-text-v1/invoke", "/model/cohere.embed-english-v3/invoke"
	for name, test := range map[string]struct {
		path, body string
		status     int
	}{
		"Titan":          {titan, `{"inputText":"a"}`, 200},
		"TitanExtra":     {titan, `{"inputText":"a","dimensions":256}`, 400},
		"TitanEmpty":     {titan, `{"inputText":""}`, 400},
		"Titan2":         {"/model/amazon.titan-embed-text-v2%3A0/invoke", `{"inputText":"a","dimensions":256}`, 200},
		"Titan2Size":     {"/model/amazon.titan-embed-text-v2%3A0/invoke", `{"inputText":"a","dimensions":300}`, 400},
		"Cohere":         {cohere, `{"texts":["a"],"input_type":"clustering"}`, 200},
		"CohereNoType":   {cohere, `{"texts":["a"]}`, 400},
		"CohereNoTexts":  {cohere, `{"texts":[],"input_type":"clustering"}`, 400},
		"CohereExtra":    {cohere, `{"texts":["a"],"input_type":"clustering","x":1}`, 400},
		"UnknownModel":   {"/model/x/invoke", `{}`, 404},
		"OpenAITokens":   {"/v1/embeddings", `{"model":"m","input":[[1],[2,3]]}`, 200},
		"OpenAIEmpty":    {"/v1/embeddings", `{"model":"m","input":[""]}`, 400},
		"OpenAIMixed":    {"/v1/embeddings", `{"model":"m","input":["a",1]}`, 400},
		"OpenAINoObject": {"/v1/embeddings", `{"model":"m","input":{}}`, 400},
	} {
		t.Run(name, func(t *testing.T) {
			if got := do(t, request(t, srv.URL, test.path, test.body)); got.status != test.status {
				t.Errorf("%+v", got)
			}
		})
	}
	r := request(t, srv.URL, titan, `{"inputText":"a"}`)
	r.Header.Set("X-Amz-Date", "20200101T000000Z")
	if got := do(t, r); got.status != http.StatusForbidden {
		t.Errorf("an old signature: %+v", got)
	}
}

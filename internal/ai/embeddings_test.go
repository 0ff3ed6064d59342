package ai

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/citoroute/citoroute/internal/ai/chat"
	"github.com/citoroute/citoroute/internal/fakellm"
)

const (
	titan1  = "amazon.titan-embed-text-v1"
	titan2  = "amazon.titan-embed-text-v2:0"
	cohere3 = "cohere.embed-english-v3"
	cohere4 = "us.cohere.embed-v4:0"
)

// wired returns the path and the body of a request for embeddings, and what
// was dropped, or the error.
func wired(p Provider, model, body string) string {
	c, err := Parse(Embeddings, []byte(body))
	if err != nil {
		return err.Error()
	}
	a, err := c.Attempt(p, chat.Options{Model: model})
	if err != nil {
		return err.Error()
	}
	return strings.TrimSpace(strings.Join([]string{a.Wire.Path, string(a.Wire.Body), strings.Join(a.Wire.Dropped, ",")}, " "))
}

func TestEmbeddings_Requests(t *testing.T) {
	for name, c := range map[string]struct {
		provider          Provider
		model, body, want string
	}{
		"OpenAIKeepsBytes":  {OpenAI, "big", `{ "input":[[1, 2],[3]],"model":"m", "dimensions":1e2}`, `/embeddings { "input":[[1, 2],[3]],"model":"big", "dimensions":1e2}`},
		"Titan1":            {Bedrock, titan1, `{"model":"m","input":"a","user":"u"}`, `/model/amazon.titan-embed-text-v1/invoke {"inputText":"a"} user`},
		"Titan2":            {Bedrock, titan2, `{"model":"m","input":["a"],"dimensions":256}`, `/model/amazon.titan-embed-text-v2%3A0/invoke {"inputText":"a","dimensions":256}`},
		"TitanOneText":      {Bedrock, titan2, `{"model":"m","input":["a","b"]}`, `400 invalid_request_error: input: this model takes one text at a time, not 2`},
		"Titan1Dimensions":  {Bedrock, titan1, `{"model":"m","input":"a","dimensions":3}`, `400 invalid_request_error: dimensions: the vectors of this model have one length only`},
		"Cohere3":           {Bedrock, cohere3, `{"model":"m","input":["a","b"],"encoding_format":"base64"}`, `/model/cohere.embed-english-v3/invoke {"texts":["a","b"],"input_type":"search_document"}`},
		"Cohere3Dimensions": {Bedrock, cohere3, `{"model":"m","input":"a","dimensions":3}`, `400 invalid_request_error: dimensions: the vectors of this model have one length only`},
		"Cohere4":           {Bedrock, cohere4, `{"model":"m","input":"a","dimensions":512,"input_type":"search_query"}`, `/model/us.cohere.embed-v4%3A0/invoke {"texts":["a"],"input_type":"search_query","output_dimension":512}`},
		"Tokens":            {Bedrock, titan2, `{"model":"m","input":[1,2]}`, `400 invalid_request_error: input: tokens are not possible with this provider: send text`},
		"TokenLists":        {Bedrock, cohere3, `{"model":"m","input":[[1,2]]}`, `400 invalid_request_error: input: tokens are not possible with this provider: send text`},
		"NoInput":           {Bedrock, titan2, `{"model":"m"}`, `400 invalid_request_error: input: is required`},
		"EmptyInput":        {Bedrock, titan2, `{"model":"m","input":[]}`, `400 invalid_request_error: input: must not be empty`},
		"EmptyText":         {Bedrock, cohere3, `{"model":"m","input":["a",""]}`, `400 invalid_request_error: input: must not be empty`},
		"WrongText":         {Bedrock, cohere3, `{"model":"m","input":["a",{}]}`, `400 invalid_request_error: input[1]: must be a text`},
		"WrongFormat":       {Bedrock, titan2, `{"model":"m","input":"a","encoding_format":"int8"}`, `400 invalid_request_error: encoding_format: "int8" is not one of float, base64`},
		"Float":             {Bedrock, titan2, `{"model":"m","input":"a","encoding_format":"float"}`, `/model/amazon.titan-embed-text-v2%3A0/invoke {"inputText":"a"}`},
		"LeastDimensions":   {Bedrock, titan2, `{"model":"m","input":"a","dimensions":1}`, `/model/amazon.titan-embed-text-v2%3A0/invoke {"inputText":"a","dimensions":1}`},
		"NoDimensions":      {Bedrock, titan2, `{"model":"m","input":"a","dimensions":0}`, `400 invalid_request_error: dimensions: must be 1 or more, not 0`},
		"NoText":            {Bedrock, titan2, `{"model":"m","input":{}}`, `400 invalid_request_error: input: must be a text or a list of texts`},
		"Ignored":           {Bedrock, titan2, `{"model":"m","input":"a","y":1,"x":2,"z":null,"input_type":"search_query"}`, `/model/amazon.titan-embed-text-v2%3A0/invoke {"inputText":"a"} x,y,input_type`},
		"ClientsModel":      {Bedrock, "", `{"model":"amazon.titan-embed-text-v2:0","input":"a"}`, `/model/amazon.titan-embed-text-v2%3A0/invoke {"inputText":"a"}`},
		"Streamed":          {OpenAI, "", `{"model":"m","input":"a","stream":true}`, `400 invalid_request_error: stream: is not possible for this operation`},
		"OtherModel":        {Bedrock, "anthropic.claude-sonnet-4-5", `{"model":"m","input":"a"}`, `400 invalid_request_error: model: on Bedrock, embeddings are possible with amazon.titan-embed-text and cohere.embed models`},
		"Anthropic":         {Anthropic, "", `{"model":"m","input":"a"}`, `400 invalid_request_error: embeddings are not possible with this provider`},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, wired(c.provider, c.model, c.body)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestEmbeddings_Answers(t *testing.T) {
	const two = `{"model":"m","input":["a","b"]}`
	const one = `{"model":"m","input":"a","encoding_format":"base64"}`
	for name, c := range map[string]struct {
		model, request, answer string
		tokens                 int64 // of the header
		want                   string
	}{
		"Titan":         {titan2, one, `{"embedding":[1,-0.5],"inputTextTokenCount":3}`, 9, `{"object":"list","data":[{"object":"embedding","index":0,"embedding":"AACAPwAAAL8="}],"model":"` + titan2 + `","usage":{"prompt_tokens":3,"total_tokens":3}}`},
		"Floats":        {cohere3, two, `{"embeddings":[[1.0],[-0.50e1]],"id":"x"}`, 4, `{"object":"list","data":[{"object":"embedding","index":0,"embedding":[1.0]},{"object":"embedding","index":1,"embedding":[-0.50e1]}],"model":"` + cohere3 + `","usage":{"prompt_tokens":4,"total_tokens":4}}`},
		"FloatsByType":  {cohere4, two, `{"embeddings":{"float":[[1],[2]]}}`, 0, `{"object":"list","data":[{"object":"embedding","index":0,"embedding":[1]},{"object":"embedding","index":1,"embedding":[2]}],"model":"` + cohere4 + `","usage":{"prompt_tokens":0,"total_tokens":0}}`},
		"TooFew":        {cohere3, two, `{"embeddings":[[1]]}`, 0, `502 server_error: the provider answered 2 texts with 1 vectors`},
		"None":          {titan2, one, `{}`, 0, `502 server_error: the provider's answer holds no embeddings`},
		"NotJSON":       {cohere3, two, `<html>`, 0, `502 server_error: the provider's answer holds no embeddings`},
		"NoNumbers":     {titan2, one, `{"embedding":["x"]}`, 0, `502 server_error: a vector in the provider's answer is no list of numbers`},
		"NegativeCount": {titan2, one, `{"embedding":[],"inputTextTokenCount":-3}`, 0, `{"object":"list","data":[{"object":"embedding","index":0,"embedding":""}],"model":"` + titan2 + `","usage":{"prompt_tokens":0,"total_tokens":0}}`},
	} {
		t.Run(name, func(t *testing.T) {
			call, err := Parse(Embeddings, []byte(c.request))
			if err != nil {
				t.Fatal(err)
			}
			a, err := call.Attempt(Bedrock, chat.Options{Model: c.model})
			if err != nil {
				t.Fatal(err)
			}
			a.Wire.InputTokens = c.tokens
			out, err := a.Response([]byte(c.answer), 1)
			got := string(out.Body)
			if err != nil {
				got = err.Error()
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			if counted := name == "Titan" || name == "Floats" || name == "NegativeCount"; err == nil && out.Counted != counted {
				t.Errorf("counted %v", out.Counted)
			}
		})
	}
}

// TestEmbeddings_AtTheFakes asks every provider through the strict fakes and
// compares what we count with what they do.
func TestEmbeddings_AtTheFakes(t *testing.T) {
	now := time.Now()
	fake := fakellm.New(fakellm.Options{Now: func() time.Time { return now }})
	server := httptest.NewServer(fake)
	t.Cleanup(server.Close)
	counted := map[Provider]int64{}
	for _, c := range []struct {
		provider Provider
		model    string
		inputs   string
		vectors  int
	}{
		{Bedrock, titan1, `"a b c"`, 1},
		{Bedrock, titan2, `["a b"],"dimensions":256`, 1},
		{Bedrock, cohere3, `["a b","c"],"encoding_format":"base64"`, 2},
		{Bedrock, cohere4, `["a","b","c"],"dimensions":256`, 3},
		{OpenAI, "text-embedding-3-small", `["a","b c"]`, 2},
		{OpenAI, "text-embedding-3-small", `[[1,2],[3]],"encoding_format":"base64"`, 2},
	} {
		t.Run(c.model, func(t *testing.T) {
			call, err := Parse(Embeddings, []byte(`{"model":"m","input":`+c.inputs+`}`))
			if err != nil {
				t.Fatal(err)
			}
			a, err := call.Attempt(c.provider, chat.Options{Model: c.model})
			if err != nil {
				t.Fatal(err)
			}
			resp := send(t, server.URL, c.provider, a.Wire, now)
			defer resp.Body.Close()
			body, err := io.ReadAll(resp.Body)
			if err != nil || resp.StatusCode != http.StatusOK {
				t.Fatalf("%v, %d %s", err, resp.StatusCode, body)
			}
			if c.model == cohere3 || c.model == cohere4 {
				a.Wire.InputTokens = 3 // the header says so
			}
			out, err := a.Response(body, 1)
			if err != nil || !out.Counted {
				t.Fatalf("%v, counted %v", err, out.Counted)
			}
			counted[c.provider] += out.Usage.Total()
			var got struct{ Data []any }
			if err := json.Unmarshal(out.Body, &got); err != nil || len(got.Data) != c.vectors {
				t.Errorf("%v, %s", err, out.Body)
			}
		})
	}
	for p, want := range counted {
		if a := fake.Accounts()[string(p)]; int64(a.Reported.Input) != want {
			t.Errorf("%s: we counted %d tokens, the provider %+v", p, want, a.Reported)
		}
	}
}

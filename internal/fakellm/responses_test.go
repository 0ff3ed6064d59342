package fakellm

import (
	"encoding/json"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/citoroute/citoroute/internal/ai/sse"
)

const responsesPath = "/v1/responses"

func TestResponses_AnswersWhole(t *testing.T) {
	add := `,"tools":[{"type":"function","name":"add","parameters":{"type":"object","properties":{"a":{"type":"integer"}}}}]`
	for name, tc := range map[string]struct{ body, want string }{
		"Text":     {`{"model":"m","input":"Hello there"}`, `"text":"You said: Hello there"`},
		"Repeats":  {`{"model":"m","input":"Hi","instructions":"be brief","temperature":0.5}`, `"instructions":"be brief"`},
		"Usage":    {`{"model":"m","input":"one two [fake cached=1]","instructions":"be brief"}`, `"input_tokens":6,"input_tokens_details":{"cache_write_tokens":0,"cached_tokens":1},"output_tokens":4`},
		"Items":    {`{"model":"m","input":[{"role":"user","content":[{"type":"input_text","text":"Hello"}]}]}`, `"You said: Hello"`},
		"Short":    {`{"model":"m","input":"` + strings.Repeat("word ", 20) + `","max_output_tokens":16}`, `"incomplete_details":{"reason":"max_output_tokens"}`},
		"Tool":     {`{"model":"m","input":"Hi","tool_choice":"required"` + add + `}`, `"arguments":"{\"a\":1}","call_id":"call_1_0"`},
		"Named":    {`{"model":"m","input":"Hi","tool_choice":{"type":"function","name":"add"}` + add + `}`, `"name":"add"`},
		"Result":   {`{"model":"m","input":[{"role":"user","content":"?"},{"type":"function_call","call_id":"1","name":"add","arguments":"{}"},{"type":"function_call_output","call_id":"1","output":"2"}]` + add + `}`, `"The tools said: 2"`},
		"Thoughts": {`{"model":"m","input":"Hi","reasoning":{"effort":"low","summary":"auto"}}`, `"summary":[{"text":"Someone said something. I repeat it.","type":"summary_text"}]`},
		"Proof":    {`{"model":"m","input":"Hi [fake think]","include":["reasoning.encrypted_content"],"store":false}`, `"encrypted_content":"` + signature},
		"Silent":   {`{"model":"m","input":"Hi [fake think]"}`, `"summary":[],"type":"reasoning"`},
	} {
		t.Run(name, func(t *testing.T) {
			srv := start(t)
			res := do(t, request(t, srv.URL, responsesPath, tc.body))
			if res.status != 200 || !strings.Contains(res.body, tc.want) {
				t.Errorf("got %d %s\nwant 200 with %s", res.status, res.body, tc.want)
			}
		})
	}
}

// A stream names every step of the answer, numbers its events, and ends with
// the answer that the same request gets in one piece.
func TestResponses_Streams(t *testing.T) {
	input := `"model":"m","input":"Hi","reasoning":{"effort":"low","summary":"auto"}`
	tool := `,"tool_choice":"required","tools":[{"type":"function","name":"f"}]`
	thoughts := []string{
		"response.created", "response.in_progress",
		"response.output_item.added", "response.reasoning_summary_part.added", "response.reasoning_summary_text.delta",
		"response.reasoning_summary_text.done", "response.reasoning_summary_part.done", "response.output_item.done",
	}
	for name, tc := range map[string]struct {
		body string
		want []string
	}{
		"Text": {input, append(thoughts[:8:8],
			"response.output_item.added", "response.content_part.added", "response.output_text.delta",
			"response.output_text.done", "response.content_part.done", "response.output_item.done", "response.completed")},
		"Tool": {input + tool, append(thoughts[:8:8],
			"response.output_item.added", "response.function_call_arguments.delta",
			"response.function_call_arguments.done", "response.output_item.done", "response.completed")},
	} {
		t.Run(name, func(t *testing.T) {
			whole := do(t, request(t, start(t).URL, responsesPath, `{`+tc.body+`}`))
			got, last := responsesEvents(t, do(t, request(t, start(t).URL, responsesPath, `{`+tc.body+`,"stream":true}`)).body)
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("events differ (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(whole.body, string(last)); diff != "" {
				t.Errorf("the end differs from the whole answer (-whole +end):\n%s", diff)
			}
		})
	}
}

// responsesEvents returns the names of a stream's events, those in a row once,
// and the response of the last.
func responsesEvents(t *testing.T, body string) (names []string, last json.RawMessage) {
	t.Helper()
	n := 0
	err := new(sse.Decoder).Write([]byte(body), func(e sse.Event) error {
		var ev struct {
			Type     string
			Sequence int `json:"sequence_number"`
			Response json.RawMessage
		}
		if err := json.Unmarshal(e.Data, &ev); err != nil || ev.Type != string(e.Name) || ev.Sequence != n {
			t.Errorf("event %d: %v: %s %s", n, err, e.Name, e.Data)
		}
		if len(names) == 0 || names[len(names)-1] != ev.Type {
			names = append(names, ev.Type)
		}
		n, last = n+1, ev.Response
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return names, last
}

func TestResponses_Refuses(t *testing.T) {
	call := `{"type":"function_call","call_id":"1","name":"f","arguments":"{}"}`
	for name, tc := range map[string]struct{ body, want string }{
		"NoModel":       {`"input":"Hi"`, "Missing required parameter: 'model'"},
		"NoInput":       {`"model":"m"`, "Missing required parameter: 'input'"},
		"Unknown":       {`"model":"m","input":"Hi","messages":[]`, "Unknown parameter: 'messages'"},
		"UnknownInItem": {`"model":"m","input":[{"role":"user","content":"x","name":"a"}]`, "Unknown parameter: 'input[0].name'"},
		"UnknownInPart": {`"model":"m","input":[{"role":"user","content":[{"type":"input_text","text":"x","cache_control":{}}]}]`, "Unknown parameter: 'input[0].content[0].cache_control'"},
		"ItemType":      {`"model":"m","input":[{"type":"item_reference","id":"x"}]`, "Invalid value: 'item_reference'"},
		"PartType":      {`"model":"m","input":[{"role":"assistant","content":[{"type":"input_text","text":"x"}]}]`, "Supported values are: 'output_text', 'refusal'"},
		"Role":          {`"model":"m","input":[{"role":"tool","content":"x"}]`, "Invalid value: 'tool'"},
		"ID":            {`"model":"m","input":[{"type":"message","id":"x","role":"assistant","content":"x"}]`, "begins with 'msg'"},
		"Orphan":        {`"model":"m","input":[{"type":"function_call_output","call_id":"1","output":"x"}]`, "No tool call found"},
		"OpenCall":      {`"model":"m","input":[` + call + `]`, "No tool output found for function call 1"},
		"LooseThoughts": {`"model":"m","input":[{"type":"reasoning","id":"rs_1","summary":[]},{"role":"user","content":"x"}]`, "without its required following item"},
		"ChatTool":      {`"model":"m","input":"Hi","tools":[{"type":"function","function":{"name":"f"}}]`, "Unknown parameter: 'function'"},
		"StrictTool":    {`"model":"m","input":"Hi","tools":[{"type":"function","name":"f","strict":true,"parameters":{"type":"object"}}]`, "'additionalProperties' is required"},
		"NoSuchTool":    {`"model":"m","input":"Hi","tool_choice":{"type":"function","name":"f"}`, "Tool choice 'f' not found"},
		"NoTools":       {`"model":"m","input":"Hi","tool_choice":"required"`, "with 'tools'"},
		"FewTokens":     {`"model":"m","input":"Hi","max_output_tokens":15`, "integer below minimum value"},
		"Hot":           {`"model":"m","input":"Hi","temperature":2.5`, "temperature"},
		"Effort":        {`"model":"m","input":"Hi","reasoning":{"effort":"some"}`, "Invalid value: 'some'"},
		"Format":        {`"model":"m","input":"Hi","text":{"format":{"type":"json_schema","name":"a"}}`, "text.format.schema"},
		"Previous":      {`"model":"m","input":"Hi","previous_response_id":"resp_1"`, "'resp_1' not found"},
		"UsageOption":   {`"model":"m","input":"Hi","stream":true,"stream_options":{"include_usage":true}`, "Unknown parameter: 'include_usage'"},
	} {
		t.Run(name, func(t *testing.T) {
			res := do(t, request(t, start(t).URL, responsesPath, "{"+tc.body+"}"))
			if res.status != 400 || !strings.Contains(res.body, tc.want) {
				t.Errorf("got %d %s\nwant 400 with %q", res.status, res.body, tc.want)
			}
		})
	}
}

// Orders and the account are those of OpenAI, whatever the path.
func TestResponses_ObeysAndCounts(t *testing.T) {
	fake := New(Options{})
	srv := httptest.NewServer(fake)
	t.Cleanup(srv.Close)
	for orders, want := range map[string]string{
		"status=429 retry-after=1": `"type":"rate_limit_error"`,
		"error-after=1":            `"type":"error"`,
		"cut-after=1":              "unexpected EOF",
		"cached=1":                 `"cached_tokens":1`,
	} {
		body := `{"model":"m","stream":true,"input":"one two [fake ` + orders + `]"}`
		if res := do(t, request(t, srv.URL, responsesPath, body)); !strings.Contains(res.body, want) {
			t.Errorf("%s: got %d %s", orders, res.status, res.body)
		}
	}
	checkAccount(t, fake, Account{
		Requests: 4, OK: 1, Failed: 2, Broken: 1, Streams: 4,
		Reported: Tokens{Input: 4, Cached: 1, Output: 4},
		ByModel:  map[string]Tokens{"m": {Input: 4, Cached: 1, Output: 4}},
	})
}

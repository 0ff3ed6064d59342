package transcript

import (
	"encoding/json/jsontext"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func all(t testing.TB, o Options) *Scribe {
	t.Helper()
	o.Prompts, o.Answers = true, true
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// members are what was appended, one a line.
func members(t *testing.T, b []byte) string {
	t.Helper()
	if len(b) == 0 {
		return ""
	}
	object := append(append([]byte(`{"":0`), b...), '}')
	if !jsontext.Value(object).IsValid() {
		t.Fatalf("not JSON: %s", object)
	}
	return strings.ReplaceAll(string(b[1:]), `,"gen_ai.`, "\n"+`"gen_ai.`)
}

func TestAppendPrompt(t *testing.T) {
	for name, c := range map[string]struct{ body, want string }{
		"Chat": {
			`{"model":"m","messages":[{"role":"system","content":"be brief"},{"role":"user","content":[{"type":"text","text":"who is a@b.test?"},
			{"type":"image_url","image_url":{"url":"data:image/png;base64,AAAA"}},{"type":"image_url","image_url":{"url":"https://u:p@img.test/a.png?sig=secret"}},
			{"type":"input_audio","input_audio":{"data":"AAAA"}}]},
			{"role":"assistant","content":null,"reasoning_content":"hm","tool_calls":[{"id":"call_1","type":"function","function":{"name":"find","arguments":"{ \"key\":\"\\u0073k-abcdefgh\" }"}}]},
			{"role":"tool","tool_call_id":"call_1","content":"found"}]}`,
			`"gen_ai.input.messages":[{"role":"system","parts":[{"type":"text","content":"be brief"}]},` +
				`{"role":"user","parts":[{"type":"text","content":"who is [redacted: e-mail]?"},{"type":"blob","modality":"image","content":"[redacted: binary]"},` +
				`{"type":"uri","modality":"image","uri":"https://img.test/a.png"},{"type":"blob","modality":"audio","content":"[redacted: binary]"}]},` +
				`{"role":"assistant","parts":[{"type":"reasoning","content":"hm"},{"type":"tool_call","id":"call_1","name":"find","arguments":"{\"key\":\"[redacted: key]\"}"}]},` +
				`{"role":"tool","parts":[{"type":"tool_call_response","id":"call_1","response":"found"}]}]`,
		},
		"Messages": {
			`{"system":[{"type":"text","text":"be brief"}],"messages":[{"role":"user","content":"hi"},
			{"role":"assistant","content":[{"type":"thinking","thinking":"hm","signature":"sig"},{"type":"redacted_thinking","data":"xx"},{"type":"tool_use","id":"t1","name":"find","input":{"q":"\u0061"}}]},
			{"role":"user","content":[{"type":"tool_result","tool_use_id":"t1","content":[{"type":"text","text":"found"}]},
			{"type":"document","source":{"type":"base64","data":"AAAA"}},{"type":"image","source":{"type":"url","url":"https://img.test/b.png"}}]}]}`,
			`"gen_ai.system_instructions":[{"type":"text","content":"be brief"}]` + "\n" +
				`"gen_ai.input.messages":[{"role":"user","parts":[{"type":"text","content":"hi"}]},` +
				`{"role":"assistant","parts":[{"type":"reasoning","content":"hm"},{"type":"reasoning"},{"type":"tool_call","id":"t1","name":"find","arguments":"{\"q\":\"a\"}"}]},` +
				`{"role":"user","parts":[{"type":"tool_call_response","id":"t1","response":"found"},{"type":"blob","modality":"document","content":"[redacted: binary]"},` +
				`{"type":"uri","modality":"image","uri":"https://img.test/b.png"}]}]`,
		},
		"Responses": {
			`{"instructions":"be brief","input":[{"role":"user","content":[{"type":"input_text","text":"hi"},{"type":"input_file","file_id":"f"}]},
			{"type":"reasoning","summary":[{"type":"summary_text","text":"hm"}],"encrypted_content":"xx"},
			{"type":"function_call","call_id":"c1","name":"find","arguments":"{}"},{"type":"function_call_output","call_id":"c1","output":"found"},{"type":"item_reference","id":"i"}]}`,
			`"gen_ai.system_instructions":[{"type":"text","content":"be brief"}]` + "\n" +
				`"gen_ai.input.messages":[{"role":"user","parts":[{"type":"text","content":"hi"},{"type":"blob","modality":"document","content":"[redacted: binary]"}]},` +
				`{"role":"assistant","parts":[{"type":"reasoning","content":"hm"}]},{"role":"assistant","parts":[{"type":"tool_call","id":"c1","name":"find","arguments":"{}"}]},` +
				`{"role":"tool","parts":[{"type":"tool_call_response","id":"c1","response":"found"}]},{"role":"assistant","parts":[{"type":"item_reference"}]}]`,
		},
		"ResponsesText": {`{"input":"hi"}`, `"gen_ai.input.messages":[{"role":"user","parts":[{"type":"text","content":"hi"}]}]`},
		"Odd":           {`{"messages":[{"role":7,"content":{"text":1}},{"role":"user","content":[{"type":["x"]}]}]}`, `"gen_ai.input.messages":[{"role":"assistant","parts":[{"type":"unknown"}]},{"role":"user","parts":[{"type":"unknown"}]}]`},
		"NoMessages":    {`{"messages":"?","input":{}}`, ``},
		"NoJSON":        {`?`, ``},
	} {
		t.Run(name, func(t *testing.T) {
			got := members(t, all(t, Options{}).AppendPrompt(nil, []byte(c.body), nil))
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

const bothAnswers = `"gen_ai.output.messages":[{"role":"assistant","parts":[{"type":"reasoning","content":"hm"},{"type":"text","content":"I know [redacted: e-mail]."},` +
	`{"type":"tool_call","id":"c1","name":"find","arguments":"{\"q\":\"[redacted: key]\"}"}],"finish_reason":"tool_call"}]`

func TestAnswer_Whole(t *testing.T) {
	for name, c := range map[string]struct{ body, want string }{
		"Chat": {`{"choices":[{"index":0,"message":{"role":"assistant","reasoning_content":"hm","content":"I know a@b.test.",
			"tool_calls":[{"id":"c1","type":"function","function":{"name":"find","arguments":"{\"q\":\"sk-abcdefgh\"}"}}]},"finish_reason":"tool_calls"}]}`, bothAnswers},
		"Choices": {
			`{"choices":[{"index":0,"message":{"role":"assistant","content":"a"},"finish_reason":"stop"},{"index":1,"message":{"role":"assistant","content":null,"refusal":"no"},"finish_reason":"length"}]}`,
			`"gen_ai.output.messages":[{"role":"assistant","parts":[{"type":"text","content":"a"}],"finish_reason":"stop"},{"role":"assistant","parts":[{"type":"refusal","content":"no"}],"finish_reason":"length"}]`,
		},
		"Messages": {`{"type":"message","role":"assistant","content":[{"type":"thinking","thinking":"hm"},{"type":"text","text":"I know a@b.test."},
			{"type":"tool_use","id":"c1","name":"find","input":{"q":"sk-abcdefgh"}}],"stop_reason":"tool_use"}`, bothAnswers},
		"Responses": {`{"status":"completed","output":[{"type":"reasoning","summary":[{"type":"summary_text","text":"hm"}]},
			{"type":"message","role":"assistant","content":[{"type":"output_text","text":"I know a@b.test."}]},
			{"type":"function_call","call_id":"c1","name":"find","arguments":"{\"q\":\"sk-abcdefgh\"}"}]}`, bothAnswers},
		"Nothing": {`{}`, ""},
		"NoJSON":  {`?`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			a := all(t, Options{}).Answer()
			a.Whole([]byte(c.body))
			if diff := cmp.Diff(c.want, members(t, a.Append(nil, nil))); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// streams say the same as bothAnswers.
func streams() map[string]string {
	lines := func(data ...string) string { return "data: " + strings.Join(data, "\n\ndata: ") + "\n\n" }
	delta := func(d string) string { return `{"choices":[{"index":0,"delta":` + d + `,"finish_reason":null}]}` }
	return map[string]string{
		"Chat": lines(delta(`{"role":"assistant","content":""}`), delta(`{"reasoning_content":"hm"}`), delta(`{"content":"I know a@"}`), delta(`{"content":"b.test."}`),
			delta(`{"tool_calls":[{"index":0,"id":"c1","type":"function","function":{"name":"find","arguments":""}}]}`),
			delta(`{"tool_calls":[{"index":0,"function":{"arguments":"{\"q\":\"sk-abc"}}]}`), delta(`{"tool_calls":[{"index":0,"function":{"arguments":"defgh\"}"}}]}`),
			`{"choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}]}`, `{"choices":[],"usage":{}}`, `[DONE]`),
		"Messages": lines(`{"type":"message_start","message":{"role":"assistant","content":[]}}`,
			`{"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":""}}`, `{"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"hm"}}`,
			`{"type":"content_block_delta","index":0,"delta":{"type":"signature_delta","signature":"sig"}}`,
			`{"type":"content_block_start","index":1,"content_block":{"type":"text","text":""}}`, `{"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":"I know a@b"}}`,
			`{"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":".test."}}`, `{"type":"ping"}`,
			`{"type":"content_block_start","index":2,"content_block":{"type":"tool_use","id":"c1","name":"find","input":{}}}`,
			`{"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta","partial_json":"{\"q\": "}}`, `{"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta","partial_json":"\"sk-abcdefgh\"}"}}`,
			`{"type":"message_delta","delta":{"stop_reason":"tool_use"}}`, `{"type":"message_stop"}`),
		"Responses": lines(`{"type":"response.created","response":{"status":"in_progress"}}`, `{"type":"response.output_item.added","output_index":0,"item":{"type":"reasoning","summary":[]}}`,
			`{"type":"response.reasoning_summary_text.delta","output_index":0,"delta":"hm"}`, `{"type":"response.output_item.added","output_index":1,"item":{"type":"message","role":"assistant","content":[]}}`,
			`{"type":"response.output_text.delta","output_index":1,"delta":"I know a"}`, `{"type":"response.output_text.delta","output_index":1,"delta":"@b.test."}`,
			`{"type":"response.output_item.added","output_index":2,"item":{"type":"function_call","call_id":"c1","name":"find","arguments":""}}`,
			`{"type":"response.function_call_arguments.delta","output_index":2,"delta":"{\"q\":\"sk-ab"}`, `{"type":"response.function_call_arguments.delta","output_index":2,"delta":"cdefgh\"}"}`,
			`{"type":"response.completed","response":{"status":"completed"}}`),
	}
}

func TestAnswer_Stream(t *testing.T) {
	for name, stream := range streams() {
		t.Run(name, func(t *testing.T) {
			for _, size := range []int{1, 7, len(stream)} {
				a := all(t, Options{}).Answer()
				for rest := stream; rest != ""; rest = rest[min(size, len(rest)):] {
					a.Write([]byte(rest[:min(size, len(rest))]))
				}
				if diff := cmp.Diff(bothAnswers, members(t, a.Append(nil, nil))); diff != "" {
					t.Fatalf("in pieces of %d: -want +got:\n%s", size, diff)
				}
			}
			a := all(t, Options{}).Answer()
			a.Write([]byte(stream[:len(stream)*2/3])) // it breaks off
			if got := members(t, a.Append(nil, nil)); !strings.Contains(got, `"finish_reason":"error"`) || strings.Contains(got, "sk-") {
				t.Error(got)
			}
		})
	}
}

func TestScribe_OnlyWhatIsAskedFor(t *testing.T) {
	s, err := New(Options{Answers: true})
	if err != nil {
		t.Fatal(err)
	}
	if got := s.AppendPrompt(nil, []byte(`{"input":"hi"}`), nil); len(got) > 0 {
		t.Errorf("%s", got)
	}
	s, err = New(Options{Prompts: true})
	if err != nil {
		t.Fatal(err)
	}
	a := s.Answer()
	a.Whole([]byte(`{"choices":[{"message":{"content":"a"}}]}`))
	a.Write([]byte("data: {}\n\n"))
	if got := a.Append(nil, nil); a != nil || len(got) > 0 {
		t.Errorf("%s", got)
	}
}

func TestScribe_IsBounded(t *testing.T) {
	s := all(t, Options{MaxText: 100})
	old := `{"role":"user","content":"` + strings.Repeat("old ", 100) + `"},`
	got := members(t, s.AppendPrompt(nil, []byte(`{"messages":[`+strings.Repeat(old, 100)+`{"role":"user","content":"newest"}]}`), nil))
	if len(got) > 2000 || !strings.Contains(got, "newest") || !strings.Contains(got, `"citoroute.input.messages_left_out":9`) {
		t.Errorf("%d bytes: %s", len(got), got)
	}
	a := s.Answer()
	for i := range 2000 {
		piece := `data: {"choices":[{"index":` + []string{"0", "1", "15", "16", "-1", "99999999"}[i%6] + `,"delta":{"content":"` + strings.Repeat("new ", 1000) + `"}}]}` + "\n\n"
		a.Write([]byte(piece))
	}
	if held := a.parts; held != 3 {
		t.Errorf("%d parts", held)
	}
	if got := a.Append(nil, nil); len(got) > 2000 {
		t.Errorf("%d bytes: %s", len(got), got)
	}
	if a.room < 0 {
		t.Errorf("%d bytes too many", -a.room)
	}
}

// FuzzScribe puts a secret into what somebody says: the transcript is JSON, is
// bounded, and has no secret in it.
func FuzzScribe(f *testing.F) {
	const key = "sk-abcdefgh0123456789"
	f.Add("hello", "data:x", 64)
	f.Add(`{"password":"`, `\u0061@b.de`, 4096)
	f.Add("4111 1111 ", "-----BEGIN PRIVATE KEY-----", 100)
	f.Fuzz(func(t *testing.T, before, after string, size int) {
		s := all(t, Options{MaxText: 64 + size&0xfff})
		said, err := jsontext.AppendQuote(nil, strings.ToValidUTF8(before, "?")+" "+key+" "+strings.ToValidUTF8(after, "?"))
		if err != nil {
			t.Fatal(err)
		}
		inner, err := jsontext.AppendQuote(nil, `{"a":`+string(said)+`}`)
		if err != nil {
			t.Fatal(err)
		}
		body := `{"system":` + string(said) + `,"messages":[{"role":"user","content":` + string(said) + `},{"role":"assistant","content":null,"tool_calls":[{"id":"c","function":{"name":"f","arguments":` + string(inner) + `}}]}]}`
		check(t, s, s.AppendPrompt(nil, []byte(body), nil), key)
		check(t, s, s.AppendPrompt(nil, []byte(before), nil), key)
		a := s.Answer()
		a.Write([]byte(`data: {"choices":[{"index":0,"delta":{"content":` + string(said) + `}}]}` + "\n\ndata: " + before + "\n\n" + after))
		a.Whole([]byte(`{"content":[{"type":"text","text":` + string(said) + `}],"stop_reason":"end_turn"}`))
		a.Whole([]byte(after))
		check(t, s, a.Append(nil, nil), key)
	})
}

func check(t *testing.T, s *Scribe, b []byte, key string) {
	t.Helper()
	text := members(t, b)
	if strings.Contains(text, key) {
		t.Errorf("the secret is told: %s", text)
	}
	if limit := 6*3*textsPerSide*(s.options.MaxText+slack) + 4096; len(text) > limit {
		t.Errorf("%d bytes, more than %d", len(text), limit)
	}
}

package ai

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/citoroute/citoroute/internal/ai/chat"
)

const (
	responsesWhole = `{"id":"resp_1","model":"o-1","status":"incomplete","incomplete_details":{"reason":"max_output_tokens"},"output":[]}`
	responsesTools = `{"id":"resp_1","model":"o-1","status":"completed","output":[{"type":"reasoning"},{"type":"function_call"}]}`
	choicesWhole   = `{"id":"c-1","model":"o-1","choices":[{"index":0,"message":{"content":"a"},"finish_reason":"stop"},{"index":1,"message":{"content":"b"},"finish_reason":"length"}]}`
	converseWhole  = `{"output":{"message":{"role":"assistant","content":[{"text":"a"}]}},"stopReason":"max_tokens"}`
	messageWhole   = `{"id":"msg_1","type":"message","role":"assistant","model":"claude-x","content":[{"type":"text","text":"a"}],"stop_reason":"refusal","usage":{"input_tokens":1,"output_tokens":1}}`
)

func TestOutcome_OfWholeAnswers(t *testing.T) {
	for name, c := range map[string]struct {
		client   Protocol
		provider Provider
		body     string
		want     chat.Outcome
	}{
		"ChatRelayed":       {Chat, OpenAI, choicesWhole, chat.Outcome{ID: "c-1", Model: "o-1", Finishes: []chat.Finish{chat.FinishStop, chat.FinishLength}}},
		"ResponsesRelayed":  {Responses, OpenAI, responsesWhole, chat.Outcome{ID: "resp_1", Model: "o-1", Finishes: []chat.Finish{chat.FinishLength}}},
		"ResponsesTools":    {Responses, OpenAI, responsesTools, chat.Outcome{ID: "resp_1", Model: "o-1", Finishes: []chat.Finish{chat.FinishTools}}},
		"MessagesRelayed":   {Messages, Anthropic, messageWhole, chat.Outcome{ID: "msg_1", Model: "claude-x", Finishes: []chat.Finish{chat.FinishFiltered}}},
		"ChatToAnthropic":   {Chat, Anthropic, messageWhole, chat.Outcome{ID: "msg_1", Model: "claude-x", Finishes: []chat.Finish{chat.FinishFiltered}}},
		"ChatToBedrock":     {Chat, Bedrock, converseWhole, chat.Outcome{ID: "chatcmpl-id", Model: "m", Finishes: []chat.Finish{chat.FinishLength}}},
		"ChatTools":         {Chat, OpenAI, `{"id":"c-1","model":"o-1","choices":[{"finish_reason":"tool_calls"},{"finish_reason":"function_call"}]}`, chat.Outcome{ID: "c-1", Model: "o-1", Finishes: []chat.Finish{chat.FinishTools, chat.FinishTools}}},
		"ResponsesStopped":  {Responses, OpenAI, `{"id":"a","model":"o","status":"completed","output":[{"type":"message"}]}`, chat.Outcome{ID: "a", Model: "o", Finishes: []chat.Finish{chat.FinishStop}}},
		"ResponsesCustom":   {Responses, OpenAI, `{"id":"a","model":"o","status":"completed","output":[{"type":"custom_tool_call"}]}`, chat.Outcome{ID: "a", Model: "o", Finishes: []chat.Finish{chat.FinishTools}}},
		"ResponsesFiltered": {Responses, OpenAI, `{"id":"a","model":"o","status":"incomplete","incomplete_details":{"reason":"content_filter"}}`, chat.Outcome{ID: "a", Model: "o", Finishes: []chat.Finish{chat.FinishFiltered}}},
		"ResponsesCut":      {Responses, OpenAI, `{"id":"a","model":"o","status":"incomplete"}`, chat.Outcome{ID: "a", Model: "o", Finishes: []chat.Finish{chat.FinishLength}}},
		"ResponsesFailed":   {Responses, OpenAI, `{"id":"a","model":"o","status":"failed","output":[{"type":"function_call"}]}`, chat.Outcome{ID: "a", Model: "o"}},
		"MessagesUnstopped": {Messages, Anthropic, `{"id":"a","model":"o","stop_reason":null}`, chat.Outcome{ID: "a", Model: "o"}},
		"MessagesNotJSON":   {Messages, Anthropic, `nothing`, chat.Outcome{}},
		"ResponsesNotJSON":  {Responses, OpenAI, `nothing`, chat.Outcome{}},
		"RelayedButNotJSON": {Chat, OpenAI, `nothing`, chat.Outcome{}},
	} {
		t.Run(name, func(t *testing.T) {
			a := asked(t, c.client, c.provider, false)
			a.Wire.ResponseID = "id"
			answer, err := a.Response([]byte(c.body), 1)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, a.Outcome(answer)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestOutcome_OfStreams(t *testing.T) {
	chunks := `data: {"id":"c-1","model":"o-1","choices":[{"delta":{"content":"a"}}]}` + "\n\n" +
		`data: {"id":"c-1","model":"o-1","choices":[{"delta":{},"finish_reason":"content_filter"}]}` + "\n\ndata: [DONE]\n\n"
	events := `data: {"type":"response.created","response":{"id":"resp_1","model":"o-1","status":"in_progress"}}` + "\n\n" +
		`data: {"type":"response.output_text.delta","delta":"a"}` + "\n\n" +
		`data: {"type":"response.completed","response":` + responsesTools + "}\n\n"
	tools := chat.Outcome{ID: "msg_1", Model: "claude-x", Finishes: []chat.Finish{chat.FinishTools}}
	filtered := chat.Outcome{ID: "c-1", Model: "o-1", Finishes: []chat.Finish{chat.FinishFiltered}}
	for name, c := range map[string]struct {
		client   Protocol
		provider Provider
		stream   string
		want     chat.Outcome
	}{
		"ChatRelayed":      {Chat, OpenAI, chunks, filtered},
		"MessagesToOpenAI": {Messages, OpenAI, chunks, filtered},
		"ResponsesRelayed": {Responses, OpenAI, events, chat.Outcome{ID: "resp_1", Model: "o-1", Finishes: []chat.Finish{chat.FinishTools}}},
		"MessagesRelayed":  {Messages, Anthropic, anthropicText, tools},
		"ChatToAnthropic":  {Chat, Anthropic, anthropicText, tools},
	} {
		t.Run(name, func(t *testing.T) {
			s := asked(t, c.client, c.provider, true).Stream(1)
			if diff := cmp.Diff(chat.Outcome{}, s.Outcome()); diff != "" {
				t.Errorf("before anything has come: -want +got:\n%s", diff)
			}
			out, err := s.Write(nil, []byte(c.stream))
			if err == nil {
				_, err = s.Close(out)
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, s.Outcome()); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// asked is a small request of a client put to a provider.
func asked(t *testing.T, client Protocol, provider Provider, stream bool) *Attempt {
	t.Helper()
	body := `{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"hi"}]`
	if client == Responses {
		body = `{"model":"m","input":"hi"`
	}
	if stream {
		body += `,"stream":true`
	}
	c, err := Parse(client, []byte(body+"}"))
	if err != nil {
		t.Fatal(err)
	}
	a, err := c.Attempt(provider, chat.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// TestUsage_OfWholeAnswers: what the providers count, as we do; sums add up whatever
// they tell.
func TestUsage_OfWholeAnswers(t *testing.T) {
	const stopped = `{"id":"a","model":"o","choices":[{"message":{"content":"x"},"finish_reason":"stop"}],"usage":`
	const counts = `{"prompt_tokens":9,"completion_tokens":5,"prompt_tokens_details":{"cached_tokens":4,"cache_write_tokens":2},"completion_tokens_details":{"reasoning_tokens":3}}}`
	const toomuch = `{"prompt_tokens":9,"completion_tokens":5,"prompt_tokens_details":{"cached_tokens":7,"cache_write_tokens":7},"completion_tokens_details":{"reasoning_tokens":7}}}`
	full := chat.Usage{Prompt: 9, Completion: 5, CacheRead: 4, CacheWrite: 2, Reasoning: 3}
	most := chat.Usage{Prompt: 9, Completion: 5, CacheRead: 7, CacheWrite: 2, Reasoning: 5}
	for name, c := range map[string]struct {
		client   Protocol
		provider Provider
		body     string
		want     chat.Usage
		counted  bool
	}{
		"ChatRelayed":      {Chat, OpenAI, stopped + counts, full, true},
		"ChatTooMuch":      {Chat, OpenAI, stopped + toomuch, most, true},
		"ChatOdd":          {Chat, OpenAI, `{"x":"\ud83d","usage":` + counts, full, true},
		"ChatNone":         {Chat, OpenAI, `{"x":"\ud83d"}`, chat.Usage{}, false},
		"MessagesToOpenAI": {Messages, OpenAI, stopped + counts, full, true},
		"MessagesTooMuch":  {Messages, OpenAI, stopped + toomuch, most, true},
		"MessagesRelayed":  {Messages, Anthropic, `{"usage":{"input_tokens":3,"cache_read_input_tokens":4,"cache_creation_input_tokens":2,"output_tokens":5,"output_tokens_details":{"thinking_tokens":3}}}`, full, true},
		"MessagesNone":     {Messages, Anthropic, `{}`, chat.Usage{}, false},
		"ResponsesRelayed": {Responses, OpenAI, `{"usage":{"input_tokens":9,"input_tokens_details":{"cached_tokens":4},"output_tokens":5,"output_tokens_details":{"reasoning_tokens":3}}}`, chat.Usage{Prompt: 9, Completion: 5, CacheRead: 4, Reasoning: 3}, true},
		"ResponsesTooMuch": {Responses, OpenAI, `{"usage":{"input_tokens":1,"input_tokens_details":{"cached_tokens":4},"output_tokens":2,"output_tokens_details":{"reasoning_tokens":3}}}`, chat.Usage{Prompt: 1, Completion: 2, CacheRead: 1, Reasoning: 2}, true},
		"ResponsesNone":    {Responses, OpenAI, `{}`, chat.Usage{}, false},
		"ResponsesNotJSON": {Responses, OpenAI, `nothing`, chat.Usage{}, false},
		"ChatToBedrock":    {Chat, Bedrock, `{"output":{"message":{"content":[]}},"usage":{"inputTokens":3,"outputTokens":5,"cacheReadInputTokens":4,"cacheWriteInputTokens":2}}`, chat.Usage{Prompt: 9, Completion: 5, CacheRead: 4, CacheWrite: 2}, true},
	} {
		t.Run(name, func(t *testing.T) {
			answer, err := asked(t, c.client, c.provider, false).Response([]byte(c.body), 1)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, answer.Usage); diff != "" || answer.Counted != c.counted {
				t.Errorf("counted %v, -want +got:\n%s", answer.Counted, diff)
			}
		})
	}
}

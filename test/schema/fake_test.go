package schema

import (
	"context"
	"encoding/json"
	"net/http/httptest"
	"reflect"
	"testing"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
	"github.com/openai/openai-go/v3/packages/param"
	"github.com/openai/openai-go/v3/responses"
	"github.com/openai/openai-go/v3/shared"

	"github.com/citoroute/citoroute/internal/fakellm"
)

// TestFake_ResponsesFitTheSDK: the fake provider takes what OpenAI's client
// sends, and answers with what it knows.
func TestFake_ResponsesFitTheSDK(t *testing.T) {
	srv := httptest.NewServer(fakellm.New(fakellm.Options{}))
	t.Cleanup(srv.Close)
	client := openai.NewClient(option.WithBaseURL(srv.URL+"/v1"), option.WithAPIKey(fakellm.OpenAIKey), option.WithMaxRetries(0))
	for name, input := range map[string]string{"Text": "Hello", "Tool": "Hello [fake tool=add]"} {
		t.Run(name, func(t *testing.T) {
			asked := asking(responses.ResponseInputItemParamOfMessage(input, responses.EasyInputMessageRoleUser))
			first := answered(t, client, asked)
			items := asked.Input.OfInputItemList
			for _, o := range first.Output {
				items = append(items, item(o.RawJSON()))
				if o.Type == "function_call" {
					items = append(items, item(`{"type":"function_call_output","call_id":"`+o.CallID+`","output":"3"}`))
				}
			}
			items = append(items, responses.ResponseInputItemParamOfMessage("Bye", responses.EasyInputMessageRoleUser))
			if got := answered(t, client, asking(items...)).OutputText(); got != "You said: Bye" {
				t.Errorf("got %q", got)
			}
		})
	}
}

// item is an item of the input as JSON says it.
func item(raw string) responses.ResponseInputItemUnionParam {
	return param.Override[responses.ResponseInputItemUnionParam](json.RawMessage(raw))
}

// asking is a request with about all that the fake takes.
func asking(items ...responses.ResponseInputItemUnionParam) responses.ResponseNewParams {
	schema := map[string]any{"type": "object", "properties": map[string]any{"a": map[string]any{"type": "integer"}}, "required": []string{"a"}, "additionalProperties": false}
	return responses.ResponseNewParams{
		Model: "m", Input: responses.ResponseNewParamsInputUnion{OfInputItemList: items},
		Instructions: param.NewOpt("be brief"), MaxOutputTokens: param.NewOpt[int64](100), Temperature: param.NewOpt(0.5), TopP: param.NewOpt(0.9),
		Store: param.NewOpt(false), Include: []responses.ResponseIncludable{responses.ResponseIncludableReasoningEncryptedContent},
		Metadata: shared.Metadata{"a": "b"}, ParallelToolCalls: param.NewOpt(false), Truncation: responses.ResponseNewParamsTruncationDisabled,
		Reasoning: shared.ReasoningParam{Effort: shared.ReasoningEffortLow, Summary: shared.ReasoningSummaryAuto},
		Text:      responses.ResponseTextConfigParam{Format: responses.ResponseFormatTextConfigParamOfJSONSchema("s", schema)},
		Tools:     []responses.ToolUnionParam{responses.ToolParamOfFunction("add", schema, true)},
	}
}

// answered asks in both ways, checks all that comes and returns the whole answer.
func answered(t *testing.T, client openai.Client, asked responses.ResponseNewParams) *responses.Response {
	t.Helper()
	ctx := context.WithoutCancel(t.Context())
	whole, err := client.Responses.New(ctx, asked)
	if err != nil {
		t.Fatal(err)
	}
	check := func(kind reflect.Type, raw string) {
		report(t, []byte(raw), fakeShapes.check(kind, decode(t, []byte(raw)), "$"))
	}
	check(reflect.TypeFor[responses.Response](), whole.RawJSON())
	stream := client.Responses.NewStreaming(ctx, asked)
	var last responses.ResponseStreamEventUnion
	for stream.Next() {
		last = stream.Current()
		check(reflect.TypeFor[responses.ResponseStreamEventUnion](), last.RawJSON())
	}
	if err := stream.Err(); err != nil {
		t.Error(err)
	}
	if last.Type != "response.completed" || last.Response.Usage.TotalTokens != whole.Usage.TotalTokens {
		t.Errorf("the stream ends with %s", last.RawJSON())
	}
	if !json.Valid([]byte(whole.RawJSON())) || whole.Usage.OutputTokensDetails.ReasoningTokens == 0 {
		t.Errorf("no thoughts in %s", whole.RawJSON())
	}
	return whole
}

// fakeShapes: as for our own answers.
var fakeShapes = shapes{nullable: []string{"error", "incomplete_details", "instructions", "usage", "access_programs", "effort", "summary"}}

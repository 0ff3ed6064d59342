package schema

import (
	"reflect"
	"strings"
	"testing"

	"github.com/anthropics/anthropic-sdk-go"
	"github.com/openai/openai-go/v3"
)

// TestT83_RequestsFitTheProvidersSchemas checks every request that the golden
// tests say we send.
func TestT83_RequestsFitTheProvidersSchemas(t *testing.T) {
	checked := map[string]int{}
	for name, archive := range golden(t, "requests") {
		for _, f := range archive.Files {
			kind := f.Name[strings.LastIndexByte(f.Name, '.')+1:]
			body := bodyOf(f.Data)
			if body == nil {
				continue
			}
			t.Run(name+"/"+f.Name, func(t *testing.T) {
				switch kind {
				case "anthropic":
					report(t, body, anthropicRequest(t, body))
				case "openai":
					report(t, body, openaiRequest(t, body))
				case "bedrock":
					report(t, body, bedrockRequest(t, body))
				default:
					return
				}
				checked[kind]++
			})
		}
	}
	for _, kind := range []string{"anthropic", "bedrock", "openai"} {
		if checked[kind] < 20 {
			t.Errorf("only %d requests to %s", checked[kind], kind)
		}
	}
}

// anthropicRequest: stream is a member that the SDK's methods add themselves.
func anthropicRequest(t *testing.T, body []byte) []string {
	return shapes{extensions: []string{"stream"}}.check(reflect.TypeFor[anthropic.MessageNewParams](), decode(t, body), "$")
}

// openaiRequest: stream as for Anthropic.
func openaiRequest(t *testing.T, body []byte) []string {
	return shapes{extensions: []string{"stream"}}.check(reflect.TypeFor[openai.ChatCompletionNewParams](), decode(t, body), "$")
}

// TestValidators_SeeWhatIsWrong: a check that accepts everything is worth
// nothing.
func TestValidators_SeeWhatIsWrong(t *testing.T) {
	for name, c := range map[string]struct {
		check      func(*testing.T, []byte) []string
		body, want string
	}{
		"AnthropicUnknown":  {anthropicRequest, `{"model":"m","max_tokens":1,"messages":[{"role":"user","content":[{"type":"text","text":"a","x":1}]}]}`, "x: unknown to TextBlockParam"},
		"AnthropicMissing":  {anthropicRequest, `{"model":"m","messages":[]}`, "$.max_tokens: missing"},
		"AnthropicType":     {anthropicRequest, `{"model":"m","max_tokens":"1","messages":[]}`, "$.max_tokens: "},
		"AnthropicConstant": {anthropicRequest, `{"model":"m","max_tokens":1,"messages":[],"tool_choice":{"type":"some"}}`, "$.tool_choice.type: "},
		"OpenAIUnknown":     {openaiRequest, `{"model":"m","messages":[{"role":"user","content":"a","is_error":false}]}`, "is_error: unknown to ChatCompletionUserMessageParam"},
		"OpenAIMissing":     {openaiRequest, `{"model":"m","messages":[{"role":"tool","content":"a"}]}`, "tool_call_id: missing"},
		"OpenAIType":        {openaiRequest, `{"model":"m","messages":[],"temperature":"1"}`, "$.temperature: "},
		"BedrockUnknown":    {bedrockRequest, `{"messages":[{"role":"user","content":[{"text":"a"}],"x":1}]}`, "the SDK sends"},
		"BedrockUnknownTop": {bedrockRequest, `{"messages":[],"x":1}`, "x: unknown member"},
		"BedrockSnakeCase":  {bedrockRequest, `{"messages":[],"toolConfig":{"tools":[],"tool_choice":{"auto":{}}}}`, "the SDK sends"},
		"BedrockMissing":    {bedrockRequest, `{"messages":[],"toolConfig":{"tools":[{"toolSpec":{"name":"a"}}]}}`, "InputSchema"},
		"BedrockType":       {bedrockRequest, `{"messages":[],"inferenceConfig":{"maxTokens":"1"}}`, "inferenceConfig: "},
		"BedrockEnum":       {bedrockRequest, `{"messages":[{"role":"nobody","content":[]}]}`, `"nobody" is not one of`},
		"BedrockUnion":      {bedrockRequest, `{"messages":[{"role":"user","content":[{"text":"a","cachePoint":{"type":"default"}}]}]}`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			if got := strings.Join(c.check(t, []byte(c.body)), "\n"); got == "" || !strings.Contains(got, c.want) {
				t.Errorf("got %q, want it to say %q", got, c.want)
			}
		})
	}
}

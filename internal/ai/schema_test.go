package ai

import (
	"errors"
	"testing"

	"github.com/citoroute/citoroute/internal/ai/chat"
)

// A schema that is no object is the client's fault, whatever it speaks.
func TestSchemasAreObjects(t *testing.T) {
	const messages = `{"max_tokens":5,"messages":[{"role":"user","content":"x"}],`
	for name, c := range map[string]struct {
		client      Protocol
		body, param string // body goes on with the schema and what closes it
		end         string
	}{
		"Chat":           {Chat, messages + `"tools":[{"type":"function","function":{"name":"a","parameters":`, "tools[0].function.parameters", `}}]}`},
		"Messages":       {Messages, messages + `"tools":[{"name":"a","input_schema":`, "tools[0].input_schema", `}]}`},
		"MessagesFormat": {Messages, messages + `"output_config":{"format":{"type":"json_schema","schema":`, "output_config.format.schema", `}}}`},
		"Responses":      {Responses, `{"input":"x","tools":[{"type":"function","name":"a","parameters":`, "tools[0].parameters", `}]}`},
	} {
		t.Run(name, func(t *testing.T) {
			for _, schema := range []string{`true`, `1`, `"x"`, `[]`, `{}`} {
				call, err := Parse(c.client, []byte(c.body+schema+c.end))
				if err == nil {
					_, err = call.Attempt(Bedrock, chat.Options{Model: "anthropic.claude-sonnet-4-5"})
				}
				if schema == `{}` {
					if err != nil {
						t.Error(err)
					}
					continue
				}
				if e, ok := errors.AsType[*chat.Error](err); !ok || e.Status != 400 || e.Param != c.param {
					t.Errorf("%s: %v", schema, err)
				}
			}
		})
	}
}

package anthropic

import (
	"encoding/json/jsontext"

	"github.com/citoroute/citoroute/internal/ai/chat"
)

// What a client may send has members that no other provider knows: Rest.
type (
	clientBlock struct {
		block
		Rest jsontext.Value `json:",embed"`
	}
	clientTool struct {
		tool
		Rest jsontext.Value `json:",embed"`
	}
	clientOutput struct {
		outputConfig
		Rest jsontext.Value `json:",embed"`
	}
	clientMetadata struct {
		metadata
		Rest jsontext.Value `json:",embed"`
	}
)

// harmless are members whose loss changes no answer: how finely a stream is cut.
var harmless = []string{"tools.eager_input_streaming"}

// ignore names the members of rest, which are of the object called at, as those
// that only Anthropic knows.
func ignore(out *chat.Request, at string, rest jsontext.Value) error {
	return out.IgnoreMembers(at, rest, harmless...)
}

// present is v, or nil for null: a member that asks for nothing.
func present(v jsontext.Value) jsontext.Value {
	if v.Kind() == 'n' {
		return nil
	}
	return v
}

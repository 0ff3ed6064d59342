package anthropic

import (
	"encoding/json/jsontext"
	json "encoding/json/v2"
	"slices"

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

// harmless are members whose loss changes no answer: where a call in the history
// came from, and how finely a stream is cut.
var harmless = []string{"tool_use.caller", "tools.eager_input_streaming"}

// ignore names the members of rest, which are of the object called at, as those
// that only Anthropic knows. Each is named once, however often it is there.
func ignore(out *chat.Request, at string, rest jsontext.Value) error {
	if len(rest) == 0 {
		return nil
	}
	var members map[string]jsontext.Value
	if err := json.Unmarshal(rest, &members); err != nil {
		return chat.BadJSON(err)
	}
	for name, v := range members {
		name = at + "." + name
		if !off(v) && !slices.Contains(harmless, name) && !slices.Contains(out.Ignored, name) {
			out.Ignored = append(out.Ignored, name)
		}
	}
	return nil
}

// off says that a member asks for nothing: it is null, false or empty, says that
// it is not enabled, or leaves calling a tool to the model alone.
func off(v jsontext.Value) bool {
	c := v.Clone()
	if c.Compact() != nil {
		return false
	}
	switch string(c) {
	case `null`, `false`, `""`, `[]`, `{}`, `{"enabled":false}`, `["direct"]`:
		return true
	}
	return false
}

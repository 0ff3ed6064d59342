package responses

import (
	"encoding/json/jsontext"
	json "encoding/json/v2"
	"slices"
	"strconv"

	"github.com/citoroute/citoroute/internal/ai/chat"
)

func parseTools(in *request, out *chat.Request) error {
	for i, t := range in.Tools {
		at := "tools[" + strconv.Itoa(i) + "]"
		if t.Type != "function" {
			return chat.Unsupported(at+".type", "%q is not possible with this provider, only function is", t.Type)
		}
		if t.Name == "" {
			return chat.Invalid(at+".name", "is required")
		}
		schema := t.Parameters
		switch schema.Kind() {
		case '{', 0: // 0: there is none
		case 'n':
			schema = nil
		default:
			return chat.Invalid(at+".parameters", "must be an object")
		}
		if err := out.IgnoreMembers("tools", t.Rest); err != nil {
			return err
		}
		out.Tools = append(out.Tools, chat.Tool{Name: t.Name, Description: t.Description, Schema: schema, Strict: t.Strict})
	}
	if len(out.Tools) == 0 {
		switch string(in.ToolChoice) {
		case "", "null", `"auto"`, `"none"`: // many clients always say so
			return nil
		}
		return chat.Invalid("tool_choice", "is only allowed when tools are given")
	}
	out.ParallelTools = in.ParallelToolCalls
	return parseToolChoice(in.ToolChoice, out)
}

// toolModes are the words of a tool_choice.
var toolModes = map[string]chat.ToolMode{"auto": chat.ToolsAuto, "none": chat.ToolsNone, "required": chat.ToolsRequired}

// toolChoice is a tool_choice that is an object.
type toolChoice struct {
	Type  string         `json:"type"`
	Name  string         `json:"name"`
	Mode  string         `json:"mode"`
	Tools []tool         `json:"tools"`
	Rest  jsontext.Value `json:",embed"`
}

func parseToolChoice(v jsontext.Value, out *chat.Request) error {
	switch v.Kind() {
	case 0, 'n': // there is none
		return nil
	case '"':
		var mode string
		if err := json.Unmarshal(v, &mode); err != nil {
			return chat.BadJSON(err)
		}
		if out.ToolChoice.Mode = toolModes[mode]; out.ToolChoice.Mode == 0 {
			return oddChoice()
		}
		return nil
	}
	var choice toolChoice
	if json.Unmarshal(v, &choice) != nil {
		return oddChoice()
	}
	switch mode := toolModes[choice.Mode]; {
	case choice.Type == "function" && declared(out, choice.Name):
		out.ToolChoice.Mode, out.ToolChoice.Name = chat.ToolsNamed, choice.Name
	case choice.Type == "allowed_tools" && mode != 0:
		out.ToolChoice.Mode, out.ToolChoice.Allowed = mode, []string{}
		for _, t := range choice.Tools {
			if t.Type != "function" || !declared(out, t.Name) {
				return chat.Invalid("tool_choice.tools", "names a tool that is not among the tools")
			}
			out.ToolChoice.Allowed = append(out.ToolChoice.Allowed, t.Name)
		}
	default:
		return oddChoice()
	}
	return out.IgnoreMembers("tool_choice", choice.Rest)
}

func oddChoice() error {
	return chat.Invalid("tool_choice", "must be none, auto, required, one of the functions or a list of allowed ones")
}

// declared says that a tool is among those of the request.
func declared(out *chat.Request, name string) bool {
	return slices.ContainsFunc(out.Tools, func(t chat.Tool) bool { return t.Name == name })
}

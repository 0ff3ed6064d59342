package chat

import (
	"encoding/json/jsontext"
	json "encoding/json/v2"
	"slices"
)

// Ignore notes a parameter that only the client's protocol knows, once.
func (r *Request) Ignore(param string) {
	if !slices.Contains(r.Ignored, param) {
		r.Ignored = append(r.Ignored, param)
	}
}

// IgnoreIf notes a parameter where it is there.
func (r *Request) IgnoreIf(there bool, param string) {
	if there {
		r.Ignore(param)
	}
}

// IgnoreMembers notes the members of rest, which is what was not understood of
// the object called at, but for those that ask for nothing and those that are
// harmless, whose full names are given. The error is for what is no object.
func (r *Request) IgnoreMembers(at string, rest jsontext.Value, harmless ...string) error {
	if len(rest) == 0 {
		return nil
	}
	var members map[string]jsontext.Value
	if err := json.Unmarshal(rest, &members); err != nil {
		return BadJSON(err)
	}
	for name, v := range members {
		name = at + "." + name
		if !off(v) && !slices.Contains(harmless, name) {
			r.Ignore(name)
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

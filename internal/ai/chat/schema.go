package chat

import (
	"bytes"
	"encoding/json/jsontext"
)

// ObjectSchema returns the schema of a tool's arguments as every provider
// takes it: an object schema that says so. Everything else keeps its bytes.
func ObjectSchema(schema jsontext.Value) jsontext.Value {
	if len(schema) == 0 {
		return jsontext.Value(`{"type":"object","properties":{}}`)
	}
	d := jsontext.NewDecoder(bytes.NewReader(schema))
	if _, err := d.ReadToken(); err != nil {
		return schema
	}
	empty := d.PeekKind() == '}'
	for d.PeekKind() == '"' {
		name, err := d.ReadToken()
		if err != nil {
			return schema
		}
		if name.String() == "type" {
			return schema
		}
		if d.SkipValue() != nil {
			return schema
		}
	}
	rest := bytes.TrimLeft(schema, " \t\r\n")[1:]
	out := []byte(`{"type":"object",`)
	if empty {
		out = []byte(`{"type":"object","properties":{}`)
	}
	return append(out, rest...)
}

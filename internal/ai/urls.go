package ai

import (
	"bytes"
	"encoding/json/jsontext"
	"errors"
	"io"
	"strings"

	"github.com/citoroute/citoroute/internal/ai/chat"
)

// RefuseURLs refuses a request that names something to be fetched: an image, a
// document, a sound or a server. It looks at the members that have such names in
// any of the protocols, wherever they are, and at nothing that a URL leads to: names
// that resolve to other addresses and redirects make every list of good and bad
// ones useless. The error is a *chat.Error.
func (c *Call) RefuseURLs() error {
	d := jsontext.NewDecoder(bytes.NewReader(c.body), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	var name string // of the member whose value comes next
	for {
		t, err := d.ReadToken()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return chat.Invalid("", "the body is not valid JSON")
		}
		kind, n := d.StackIndex(d.StackDepth())
		if isName := kind == '{' && n%2 == 1 && t.Kind() == '"'; isName {
			name = t.String()
			continue
		}
		if t.Kind() == '"' && leadsElsewhere(name, t.String()) {
			return chat.Unsupported(name, "this backend takes no URLs: send the content itself, as a data URI")
		}
		name = ""
	}
}

// leadsElsewhere says whether the value of a member is a URL that is followed.
func leadsElsewhere(name, value string) bool {
	const inline = "data:"
	if value == "" || len(value) >= len(inline) && strings.EqualFold(value[:len(inline)], inline) {
		return false
	}
	switch {
	case name == "url", name == "uri", strings.HasSuffix(name, "_url"), strings.HasSuffix(name, "_uri"):
		return true
	case name == "data", name == "file_data": // base64, or a URL in its place
		return strings.Contains(value, ":")
	}
	return false
}

package chat

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

// MaxName is the longest tool name and tool call identifier that every
// provider takes.
const MaxName = 64

// Names maps the tool names of one request to names that every provider takes
// (^[a-zA-Z0-9_-]{1,64}$), and back. The zero value is ready.
type Names struct{ back map[string]string }

// Wire returns the name to send for name, and remembers it.
func (n *Names) Wire(name string) string {
	wire := Identifier(name)
	if wire != name {
		if n.back == nil {
			n.back = make(map[string]string)
		}
		n.back[wire] = name
	}
	return wire
}

// Client returns the name that the client knows a sent name by.
func (n *Names) Client(wire string) string {
	if name, ok := n.back[wire]; ok {
		return name
	}
	return wire
}

// Identifier returns s where every provider takes it as an identifier, else a
// name made from s and a hash of it: the same for the same s, and different
// for different ones.
func Identifier(s string) string { return ShortIdentifier(s, MaxName) }

// ShortIdentifier is Identifier of at most limit bytes, of which the hash takes 9.
func ShortIdentifier(s string, limit int) string {
	clean := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_' || r == '-' {
			return r
		}
		return '_'
	}, s)
	if clean == s && s != "" && len(s) <= limit {
		return s
	}
	sum := sha256.Sum256([]byte(s))
	suffix := "_" + hex.EncodeToString(sum[:4])
	return clean[:min(len(clean), limit-len(suffix))] + suffix
}

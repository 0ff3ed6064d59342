package observe

import (
	"strings"
	"unicode/utf8"
)

const (
	// maxModels is how many models that clients have chosen have series of their
	// own, maxModelName the longest name of one, in bytes.
	maxModels    = 500
	maxModelName = 128
	// otherModel stands for all the others.
	otherModel = "other"
)

// models are the names that label a series. A client may ask for any model, so
// a name of its choice is taken in only where a provider has answered for it,
// and only so many: some providers answer for every name.
type models struct {
	known recent[string, string]
	// chosen are those in known that clients have chosen. Those of the
	// configuration are always taken in, however many there are of these.
	chosen int
}

// label returns what a model is called in labels. configured says that the
// configuration has chosen it, answered that a provider has answered for it.
func (m *models) label(name string, configured, answered bool) string {
	if known, ok := m.known.get(name); ok {
		return known
	}
	switch {
	case name == "":
		return ""
	case len(name) > maxModelName, !utf8.ValidString(name):
		return otherModel
	case configured:
	case !answered, m.chosen >= maxModels:
		return otherModel
	default:
		m.chosen++
	}
	name = strings.Clone(name)
	m.known.put(name, name)
	return name
}

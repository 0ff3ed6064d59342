package observe

import (
	"strings"
	"unicode/utf8"
)

const (
	// maxModels is how many models have series of their own, maxModelName the
	// longest name of one, in bytes.
	maxModels    = 500
	maxModelName = 128
	// otherModel stands for all the others.
	otherModel = "other"
)

// models are the names that label a series. A client may ask for any model, so
// a name is taken in only where the configuration chose it or a provider has
// answered for it.
type models map[string]string

// label returns what a model is called in labels. vouched says that the name
// is not merely what a client wrote.
func (m models) label(name string, vouched bool) string {
	if known, ok := m[name]; ok {
		return known
	}
	switch {
	case name == "":
		return ""
	case !vouched, len(m) >= maxModels, len(name) > maxModelName, !utf8.ValidString(name):
		return otherModel
	}
	name = strings.Clone(name)
	m[name] = name
	return name
}

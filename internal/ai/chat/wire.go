package chat

import (
	"encoding/json/jsontext"
	json "encoding/json/v2"
	"fmt"
	"slices"
)

// Field is an HTTP header field.
type Field struct{ Name, Value string }

// Wire is a request as a provider gets it, before credentials are added, and
// what must be remembered of it to read the answer.
type Wire struct {
	// Path is below the provider's base URL; it begins with "/".
	Path   string
	Header []Field
	Body   []byte
	// Model is the model that the provider is asked for.
	Model string
	// ResponseID is the provider's identifier of the answer where only its
	// header has one; set before the answer is decoded.
	ResponseID string
	// InputTokens is what the request cost where only the answer's header tells;
	// 0 where it does not, set before the answer is decoded.
	InputTokens int64
	// Dropped names the parameters that the provider has no way to express and
	// that were left out or changed.
	Dropped []string
	Names   Names
	// FormatTool is the tool that stands in for a response format: its
	// arguments are the answer's text. Empty where there is none.
	FormatTool string
}

// Drop notes that a parameter was left out or changed, once.
func (w *Wire) Drop(param string) {
	if !slices.Contains(w.Dropped, param) {
		w.Dropped = append(w.Dropped, param)
	}
}

// Options are a backend's settings.
type Options struct {
	// Model replaces the model that the client asked for, where it is not empty.
	Model string
	// Memory is what the body may be written into; nil: it gets its own.
	Memory []byte
	// MaxTokens is the limit where the client sets none and the provider needs
	// one; zero is 4096.
	MaxTokens int64
}

// ModelFor returns the model to ask the provider for.
func (o Options) ModelFor(r *Request) string {
	if o.Model != "" {
		return o.Model
	}
	return r.Model
}

// Marshal returns the JSON form of a request or answer. Raw members keep the
// order of their keys, their numbers and their strings' escapes: a provider's
// prompt cache depends on it.
func Marshal(v any) ([]byte, error) {
	b, err := json.Marshal(v, json.Deterministic(true), jsontext.PreserveRawStrings(true), jsontext.AllowDuplicateNames(true))
	if err != nil {
		return nil, fmt.Errorf("encode: %w", err)
	}
	return b, nil
}

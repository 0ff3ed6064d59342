package chat

import (
	"encoding/json/jsontext"
	json "encoding/json/v2"
	"errors"
	"fmt"
	"strings"
)

// BadJSON turns an error of the JSON decoder into one for the client, naming
// the place.
func BadJSON(err error) *Error {
	if semantic, ok := errors.AsType[*json.SemanticError](err); ok {
		return Invalid(param(semantic.JSONPointer), "the value has the wrong type")
	}
	if syntactic, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
		if errors.Is(err, jsontext.ErrDuplicateName) {
			return Invalid(param(syntactic.JSONPointer), "the member stands there twice")
		}
		return Invalid(param(syntactic.JSONPointer), "the body is not valid JSON (at byte %d)", syntactic.ByteOffset)
	}
	return Invalid("", "the body is not valid JSON")
}

// param writes a JSON pointer the way OpenAI names parameters:
// /messages/2/content is messages[2].content.
func param(p jsontext.Pointer) string {
	var b strings.Builder
	for token := range p.Tokens() {
		if token != "" && strings.Trim(token, "0123456789") == "" {
			b.WriteString("[" + token + "]")
			continue
		}
		if b.Len() > 0 {
			b.WriteByte('.')
		}
		b.WriteString(token)
	}
	return b.String()
}

// UnmarshalAnyhow reads JSON of a provider as most clients would: halves of
// characters and repeated members are no errors.
func UnmarshalAnyhow(b []byte, v any) error {
	if err := json.Unmarshal(b, v, jsontext.AllowInvalidUTF8(true), jsontext.AllowDuplicateNames(true)); err != nil {
		return fmt.Errorf("decode: %w", err)
	}
	return nil
}

// Compact returns v without white space, its strings as they are written; v itself
// where it is not valid.
func Compact(v jsontext.Value) jsontext.Value {
	c := v.Clone()
	if c.Compact(jsontext.AllowDuplicateNames(true), jsontext.PreserveRawStrings(true)) != nil {
		return v
	}
	return c
}

// Quote returns s as a JSON string; bytes that are not UTF-8 become the
// replacement character.
func Quote(s string) string { return string(AppendQuote(nil, s)) }

// AppendQuote appends s to dst the way Quote writes it.
func AppendQuote(dst []byte, s string) []byte {
	out, err := jsontext.AppendQuote(dst, s)
	if err != nil {
		out, _ = jsontext.AppendQuote(dst, strings.ToValidUTF8(s, "\uFFFD"))
	}
	return out
}

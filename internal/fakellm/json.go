package fakellm

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"
)

// decode reads one JSON value into v and refuses fields that v does not have.
// unknown is the provider's sentence about such a field, "%s" being its name.
func decode(body []byte, v any, unknown string) error {
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	err := d.Decode(v)
	if err == nil {
		if _, err = d.Token(); errors.Is(err, io.EOF) {
			return nil
		}
		return refuse("We could not parse the JSON body of your request: there is something after it")
	}
	if name, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
		return refuse(unknown, strings.Trim(name, `"`))
	}
	return refuse("We could not parse the JSON body of your request: %v", err)
}

// upTo says whether a number is absent or from 0 to high.
func upTo(n *float64, high float64) bool { return n == nil || (*n >= 0 && *n <= high) }

// atLeastOne says whether a number is absent or at least 1.
func atLeastOne(n *int) bool { return n == nil || *n >= 1 }

// isObject says whether raw is a JSON object.
func isObject(raw json.RawMessage) bool {
	var m map[string]json.RawMessage
	return json.Unmarshal(raw, &m) == nil && m != nil
}

// isNull says whether raw is absent or null.
func isNull(raw json.RawMessage) bool { return len(raw) == 0 || string(raw) == "null" }

// asString returns the string that raw is.
func asString(raw json.RawMessage) (string, bool) {
	var s string
	if len(raw) == 0 || raw[0] != '"' || json.Unmarshal(raw, &s) != nil {
		return "", false
	}
	return s, true
}

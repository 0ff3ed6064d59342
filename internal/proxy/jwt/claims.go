package jwt

import (
	"encoding/json/jsontext"
	json "encoding/json/v2"
	"errors"
	"strconv"
	"strings"
)

// maxHeaderValue is the longest claim that becomes a header field, in bytes.
const maxHeaderValue = 8 << 10

// Claims is what a valid token says. Its values are those of the signed bytes:
// numbers keep their text.
type Claims struct {
	members map[string]jsontext.Value

	issuer                       string
	audiences                    []string
	expires, notBefore, issuedAt float64
}

// registered are the claims whose types RFC 7519 and RFC 8693 fix.
type registered struct {
	Issuer    *string        `json:"iss"`
	Subject   *string        `json:"sub"`
	Audience  jsontext.Value `json:"aud"`
	Expires   jsontext.Value `json:"exp"`
	NotBefore jsontext.Value `json:"nbf"`
	IssuedAt  jsontext.Value `json:"iat"`
	Scope     *string        `json:"scope"`
	Scopes    jsontext.Value `json:"scp"`
	Rest      jsontext.Value `json:",embed"`
}

func parseClaims(payload []byte) (*Claims, error) {
	if jsontext.Value(payload).Kind() != '{' {
		return nil, errors.New("the token's payload is not a JSON object")
	}
	var in registered
	if err := json.Unmarshal(payload, &in); err != nil {
		return nil, errors.New("the token's payload is not a JSON object with claims of the right types")
	}
	if err := twins(in.Rest, "iss", "sub", "aud", "exp", "nbf", "iat", "scope", "scp"); err != nil {
		return nil, err
	}
	c := &Claims{}
	if err := json.Unmarshal(payload, &c.members); err != nil {
		return nil, errors.New("the token's payload is not a JSON object")
	}
	return c, c.register(&in)
}

// register takes in the claims whose meaning is fixed.
func (c *Claims) register(in *registered) (err error) {
	if in.Issuer == nil {
		return errors.New("the token has no iss")
	}
	c.issuer = *in.Issuer
	if err := c.registerDates(in); err != nil {
		return err
	}
	if c.audiences, err = list("aud", in.Audience); err != nil {
		return err
	}
	_, err = list("scp", in.Scopes)
	return err
}

func (c *Claims) registerDates(in *registered) (err error) {
	if c.expires, err = date("exp", in.Expires); err != nil {
		return err
	}
	if c.expires <= 0 {
		return errors.New("the token has no exp")
	}
	if c.notBefore, err = date("nbf", in.NotBefore); err != nil {
		return err
	}
	c.issuedAt, err = date("iat", in.IssuedAt)
	return err
}

// date reads a NumericDate: seconds since 1970, up to the year 9999. An absent
// one is 0.
func date(name string, v jsontext.Value) (float64, error) {
	if v == nil {
		return 0, nil
	}
	if v.Kind() != '0' {
		return 0, errors.New("the token's " + name + " is not a number")
	}
	n, err := strconv.ParseFloat(string(v), 64)
	if err != nil || n < 0 || n > latest {
		return 0, errors.New("the token's " + name + " is not a time")
	}
	return n, nil
}

// list reads a string or a list of strings.
func list(name string, v jsontext.Value) ([]string, error) {
	var out []string
	switch {
	case v == nil:
		return nil, nil
	case v.Kind() == '"':
		out = []string{""}
		if err := json.Unmarshal(v, &out[0]); err != nil {
			return nil, errors.New("the token's " + name + " is not valid")
		}
	case v.Kind() != '[' || json.Unmarshal(v, &out) != nil || len(out) > maxMembers:
		return nil, errors.New("the token's " + name + " is not a string or a list of strings")
	}
	return out, nil
}

// at returns the value at a dotted path. Names may have dots of their own: of
// those that fit, the longest is followed first.
func (c *Claims) at(path string) jsontext.Value { return find(c.members, path) }

func find(members map[string]jsontext.Value, path string) jsontext.Value {
	if v, ok := members[path]; ok {
		return v
	}
	for end := strings.LastIndexByte(path, '.'); end >= 0; end = strings.LastIndexByte(path[:end], '.') {
		var inner map[string]jsontext.Value
		if v := members[path[:end]]; v.Kind() != '{' || json.Unmarshal(v, &inner) != nil {
			continue
		}
		if v := find(inner, path[end+1:]); v != nil {
			return v
		}
	}
	return nil
}

// Has says whether the claim at a dotted path is value, or is a list with it.
func (c *Claims) Has(path, value string) bool {
	v := c.at(path)
	if v.Kind() != '[' {
		s, ok := plain(v)
		return ok && s == value
	}
	var members []jsontext.Value
	if json.Unmarshal(v, &members) != nil {
		return false
	}
	for _, m := range members {
		if s, ok := plain(m); ok && s == value {
			return true
		}
	}
	return false
}

// Header returns the claim at a dotted path as a header field's value: text,
// numbers and truth values as they are, lists and objects as JSON. ok is false
// where there is no such claim, or where its value cannot be sent: one with
// anything but printable ASCII in it, with space around it, which would be read
// as another one without, or longer than 8 KiB.
func (c *Claims) Header(path string) (value string, ok bool) {
	v := c.at(path)
	if len(v) == 0 || v.Kind() == 'n' {
		return "", false
	}
	s, ok := plain(v)
	if !ok {
		s = string(compact(v))
	}
	if s == "" || s != strings.TrimSpace(s) || len(s) > maxHeaderValue || strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' }) {
		return "", false
	}
	return s, true
}

// compact returns v without white space; the rest keeps its text.
func compact(v jsontext.Value) jsontext.Value {
	c := v.Clone()
	if c.Compact(jsontext.PreserveRawStrings(true)) != nil {
		return v
	}
	return c
}

// plain returns a string, number or truth value as text.
func plain(v jsontext.Value) (string, bool) {
	switch v.Kind() {
	case '"':
		var s string
		if json.Unmarshal(v, &s) != nil {
			return "", false
		}
		return s, true
	case '0', 't', 'f':
		return string(v), true
	default:
		return "", false
	}
}

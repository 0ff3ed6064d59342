package jwt

import (
	"errors"
	"iter"
	"strings"
)

// ErrMissing is returned where a request has no bearer token.
var ErrMissing = errors.New("there is no bearer token")

// Bearer returns the token out of the values of the Authorization fields of a
// request (RFC 6750 section 2.1): there must be exactly one, for two
// credentials could be read in two ways.
func Bearer(authorization iter.Seq[string]) (string, error) {
	value, count := "", 0
	for v := range authorization {
		value = v
		count++
	}
	switch {
	case count == 0:
		return "", ErrMissing
	case count > 1:
		return "", errors.New("there is more than one Authorization field")
	}
	scheme, token, ok := strings.Cut(value, " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return "", ErrMissing
	}
	if !ok || token == "" || strings.ContainsAny(token, " \t,") {
		return "", errors.New("the Authorization field does not hold one bearer token")
	}
	return token, nil
}

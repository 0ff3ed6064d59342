package auth

import (
	"crypto/sha256"
	"errors"
	"strings"

	"github.com/citoroute/citoroute/internal/ir"
	"github.com/citoroute/citoroute/internal/proxy/exchange"
	"github.com/citoroute/citoroute/internal/proxy/jwt"
)

const (
	// minKey is the shortest API key that is looked up, in bytes: a hash keeps
	// only that secret which cannot be guessed.
	minKey = 32
	// maxKey is the longest.
	maxKey = 1 << 10
)

// Keys are the API keys of consumers, by their hashes. It is immutable; nil
// knows none.
//
// A key is found by its hash in a map. How long that takes depends on the hash,
// which whoever tries keys can neither choose nor see, so time tells nothing of
// the keys that there are.
type Keys struct {
	consumers map[[sha256.Size]byte][]string // names of policies
}

// NewKeys returns the keys of the consumers among policies; secret finds
// Secrets by name, nil where there is none.
func NewKeys(policies []*ir.Policy, secret func(name string) *ir.Secret) *Keys {
	k := &Keys{consumers: map[[sha256.Size]byte][]string{}}
	for _, p := range policies {
		if p.Consumer == nil || p.Consumer.APIKeys == "" {
			continue
		}
		hashes := secret(p.Consumer.APIKeys)
		if hashes == nil {
			continue
		}
		for _, hash := range hashes.Values {
			if len(hash) == sha256.Size {
				id := [sha256.Size]byte(hash)
				k.consumers[id] = append(k.consumers[id], p.Name)
			}
		}
	}
	return k
}

// The reasons for which an API key is refused.
var (
	errUnknownKey = errors.New("the API key is not known")
	errTwo        = errors.New("the request has more than one credential")
)

// Find says whose API key a request carries: as bearer token, in x-api-key or in
// api-key, where the clients of OpenAI, Anthropic and Azure put it. known is
// false where there is no credential, or one that may be a token of a Gate,
// which tokens says there is. A request with two different credentials is
// refused: they could be of two callers. The error is a *Refusal.
func (k *Keys) Find(h *exchange.Header, tokens bool) (caller Caller, known bool, err error) {
	key, field, err := credential(h)
	if err != nil || key == "" {
		return Caller{}, false, err
	}
	if k != nil && len(key) >= minKey && len(key) <= maxKey {
		if names := k.consumers[sha256.Sum256([]byte(key))]; names != nil {
			return Caller{keyOf: names}, true, nil
		}
	}
	if tokens && field == authorization && strings.Contains(key, ".") { // a token has dots (RFC 7515, section 7.1)
		return Caller{}, false, nil
	}
	return Caller{}, false, &Refusal{errUnknownKey}
}

// authorization is the field of bearer tokens; the others hold keys alone.
const authorization = "Authorization"

// credential returns the one credential of a request and the field that it is
// in; of several fields with the same, the first.
func credential(h *exchange.Header) (value, field string, err error) {
	if h.Has(authorization) {
		field = authorization
		if value, err = jwt.Bearer(h.Values(authorization)); err != nil && !errors.Is(err, jwt.ErrMissing) {
			return "", "", &Refusal{err}
		}
	}
	for _, name := range [...]string{"X-Api-Key", "Api-Key"} {
		for key := range h.Values(name) {
			switch {
			case key == "" || key == value:
			case field != "":
				return "", "", &Refusal{errTwo}
			default:
				value, field = key, name
			}
		}
	}
	return value, field, nil
}

package jwt

import (
	"crypto"
	"encoding/base64"
	"encoding/json/jsontext"
	json "encoding/json/v2"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	gojwt "github.com/golang-jwt/jwt/v5"
)

const (
	// MaxToken is the longest token that is looked at, in bytes.
	MaxToken = 16 << 10
	// DefaultLeeway is how far clocks may differ.
	DefaultLeeway = time.Minute
	// latest is the last second of the year 9999: later times are no times.
	latest = 253402300799
	// maxMembers bounds the audiences that a token may have.
	maxMembers = 1000
)

// ErrNoKeys is returned while no key of the token's issuer is known: the
// caller must refuse the request.
var ErrNoKeys = errors.New("no key of the issuer is known")

// Algorithms are those that a token may be signed with.
func Algorithms() []string {
	return []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}
}

// Issuer is one whose tokens are accepted.
type Issuer struct {
	// Name is what the issuer is called in the configuration.
	Name string
	// Issuer is what the claim iss must be, byte for byte.
	Issuer string
	// Audiences: the claim aud must have one of them; empty: any.
	Audiences []string
	// Algorithms limits Algorithms(); empty: all of them.
	Algorithms []string
	// Keys returns the issuer's keys, or nil while none are known.
	Keys func() *KeySet
	// Unknown is told of a token that none of Keys has signed, so that newer
	// ones are asked for; nil: nobody is.
	Unknown func()
}

// Verifier says whether tokens are valid. It is immutable.
type Verifier struct {
	// Issuers are tried by the token's claim iss.
	Issuers []Issuer
	// Leeway is how far clocks may differ; it is not negative.
	Leeway time.Duration
}

// header is the protected header of a token. Every member that could change
// what the others mean is known, or the token is refused.
type header struct {
	Alg  string         `json:"alg"`
	Kid  *string        `json:"kid"`
	Typ  string         `json:"typ"`
	Cty  string         `json:"cty"`
	Crit jsontext.Value `json:"crit"`
	B64  jsontext.Value `json:"b64"`
	Rest jsontext.Value `json:",embed"`
}

// Verify returns what a token claims and which issuer signed it. The error
// says why the token is refused, without repeating any of it.
func (v *Verifier) Verify(token string, now time.Time) (*Claims, *Issuer, error) {
	h, payload, err := split(token)
	if err != nil {
		return nil, nil, err
	}
	claims, err := parseClaims(payload)
	if err != nil {
		return nil, nil, err
	}
	failure := errors.New("the token's issuer is not accepted")
	for i := range v.Issuers {
		issuer := &v.Issuers[i]
		if claims.issuer != issuer.Issuer {
			continue
		}
		if failure = issuer.signed(token, h); failure == nil {
			failure = v.current(claims, issuer, now)
		}
		if failure == nil {
			return claims, issuer, nil
		}
	}
	return nil, nil, failure
}

// split checks the form of a token and returns its header and payload.
func split(token string) (*header, []byte, error) {
	if err := checkForm(token); err != nil {
		return nil, nil, err
	}
	parts := strings.Split(token, ".")
	raw, err := base64.RawURLEncoding.Strict().DecodeString(parts[0])
	if err != nil {
		return nil, nil, errors.New("the token's header is not base64url")
	}
	payload, err := base64.RawURLEncoding.Strict().DecodeString(parts[1])
	if err != nil {
		return nil, nil, errors.New("the token's payload is not base64url")
	}
	if parts[2] == "" {
		return nil, nil, errors.New("the token is not signed")
	}
	h, err := parseHeader(raw)
	return h, payload, err
}

func checkForm(token string) error {
	switch {
	case len(token) > MaxToken:
		return fmt.Errorf("the token is longer than %d bytes", MaxToken)
	case strings.Count(token, ".") != 2:
		return errors.New("the token does not have three parts")
	case strings.ContainsFunc(token, func(r rune) bool { return !alphabet(r) }):
		return errors.New("the token has characters that are not base64url")
	}
	return nil
}

func alphabet(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_' || r == '.'
}

func parseHeader(raw []byte) (*header, error) {
	h := &header{}
	if err := json.Unmarshal(raw, h); err != nil {
		return nil, errors.New("the token's header is not a JSON object with members of the right types")
	}
	if err := twins(h.Rest, "alg", "kid", "typ", "cty", "crit", "b64"); err != nil {
		return nil, err
	}
	return h, h.check()
}

// check refuses what could change the meaning of a token.
func (h *header) check() error {
	switch {
	case h.Crit != nil || h.B64 != nil:
		return errors.New("the token uses an extension (crit or b64)")
	case h.Cty != "":
		return errors.New("the token holds another token")
	case !slices.Contains([]string{"", "jwt", "at+jwt", "application/jwt", "application/at+jwt"}, strings.ToLower(h.Typ)):
		return errors.New("the token is not an access token (typ)")
	case !slices.Contains(Algorithms(), h.Alg):
		return errors.New("the token's algorithm is not accepted")
	case h.Kid != nil && len(*h.Kid) > maxKid:
		return fmt.Errorf("the token's kid is longer than %d bytes", maxKid)
	}
	return nil
}

// twins refuses members whose names differ from known ones in case alone:
// other readers take one for the other.
func twins(rest jsontext.Value, known ...string) error {
	if len(rest) == 0 {
		return nil
	}
	var members map[string]jsontext.Value
	if err := json.Unmarshal(rest, &members); err != nil {
		return errors.New("the token's JSON is not valid")
	}
	for name := range members {
		for _, k := range known {
			if strings.EqualFold(name, k) {
				return fmt.Errorf("the token has a member that looks like %s", k)
			}
		}
	}
	return nil
}

// signed says whether one of the issuer's keys signed the token.
func (i *Issuer) signed(token string, h *header) error {
	if len(i.Algorithms) > 0 && !slices.Contains(i.Algorithms, h.Alg) {
		return errors.New("the token's algorithm is not accepted")
	}
	keys := i.Keys()
	if keys == nil {
		return ErrNoKeys
	}
	candidates := keys.candidates(h.Kid, h.Alg)
	if len(candidates) == 0 {
		i.unknown()
		return errors.New("no key of the issuer fits the token")
	}
	if !verifies(token, h.Alg, candidates) {
		i.unknown() // the issuer may have new material under an old name
		return errors.New("the token's signature is not valid")
	}
	return nil
}

// verifies says whether one of the keys made the token's signature.
func verifies(token, algorithm string, candidates []crypto.PublicKey) bool {
	parser := gojwt.NewParser(gojwt.WithValidMethods([]string{algorithm}), gojwt.WithStrictDecoding(), gojwt.WithoutClaimsValidation())
	_, err := parser.ParseWithClaims(token, &ignored{}, func(*gojwt.Token) (any, error) {
		set := gojwt.VerificationKeySet{}
		for _, k := range candidates {
			set.Keys = append(set.Keys, k)
		}
		return set, nil
	})
	return err == nil
}

func (i *Issuer) unknown() {
	if i.Unknown != nil {
		i.Unknown()
	}
}

// ignored are claims that the library neither keeps nor checks: ours come from
// the same bytes.
type ignored struct{ gojwt.RegisteredClaims }

// UnmarshalJSON takes anything.
func (*ignored) UnmarshalJSON([]byte) error { return nil }

// current checks the claims that say when and for whom a token is.
func (v *Verifier) current(c *Claims, i *Issuer, now time.Time) error {
	at, leeway := float64(now.Unix()), v.Leeway.Seconds()
	switch {
	case at >= c.expires+leeway:
		return errors.New("the token has expired")
	case c.notBefore > at+leeway:
		return errors.New("the token is not valid yet")
	case c.issuedAt > at+leeway:
		return errors.New("the token was issued in the future")
	case !i.isFor(c.audiences):
		return errors.New("the token is for another audience")
	}
	return nil
}

func (i *Issuer) isFor(audiences []string) bool {
	return len(i.Audiences) == 0 ||
		slices.ContainsFunc(audiences, func(a string) bool { return slices.Contains(i.Audiences, a) })
}

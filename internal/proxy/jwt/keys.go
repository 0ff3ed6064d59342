package jwt

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/base64"
	json "encoding/json/v2"
	"errors"
	"fmt"
	"math/big"
	"slices"
)

const (
	// maxKeys is how many keys of a set are looked at.
	maxKeys = 100
	// maxTries is how many keys are tried for one token.
	maxTries = 8
	// maxKid is the longest key identifier that is looked up, in bytes.
	maxKid = 256

	minModulus = 2048 // bits
	maxModulus = 8192 // bits: larger ones only burn time
)

// KeySet is a set of public keys (RFC 7517). It is immutable.
type KeySet struct{ keys []key }

type key struct {
	kid        string
	algorithms []string // what the key may verify
	public     crypto.PublicKey
}

// jwk is a key as it is written; private members are only looked for.
type jwk struct {
	Kty    string   `json:"kty"`
	Kid    string   `json:"kid"`
	Alg    string   `json:"alg"`
	Use    string   `json:"use"`
	KeyOps []string `json:"key_ops"`
	Crv    string   `json:"crv"`
	X      string   `json:"x"`
	Y      string   `json:"y"`
	N      string   `json:"n"`
	E      string   `json:"e"`
	D      any      `json:"d"`
}

// ParseKeys reads a key set. Keys that cannot, or must not, be used are left
// out, each with a reason in skipped; err is set where the document is no key
// set at all. Neither names key material.
func ParseKeys(document []byte) (set *KeySet, skipped []error, err error) {
	keys, err := splitKeys(document)
	if err != nil {
		return nil, nil, err
	}
	set = &KeySet{}
	for i, raw := range keys {
		k, err := parseKey(raw)
		if err != nil {
			skipped = append(skipped, fmt.Errorf("keys[%d]: %w", i, err))
			continue
		}
		set.keys = append(set.keys, k)
	}
	return set, skipped, nil
}

func splitKeys(document []byte) ([]rawKey, error) {
	var in struct {
		Keys []rawKey `json:"keys"`
	}
	if err := json.Unmarshal(document, &in); err != nil || in.Keys == nil {
		return nil, errors.New("it is not a JSON Web Key Set")
	}
	if len(in.Keys) > maxKeys {
		return nil, fmt.Errorf("it has %d keys, more than %d", len(in.Keys), maxKeys)
	}
	return in.Keys, nil
}

// rawKey keeps a key apart, so that a bad one does not spoil the others.
type rawKey []byte

// UnmarshalJSON implements json.Unmarshaler.
func (r *rawKey) UnmarshalJSON(b []byte) error {
	*r = bytes.Clone(b)
	return nil
}

// Len is the number of usable keys.
func (s *KeySet) Len() int { return len(s.keys) }

// candidates are the keys that may have signed a token: those with that
// identifier, or any where the token names none. A set need not name its keys:
// where no key has the identifier, it is one of those that have none.
func (s *KeySet) candidates(kid *string, algorithm string) []crypto.PublicKey {
	if kid == nil {
		return s.fitting(algorithm, func(string) bool { return true })
	}
	if s.knows(*kid) {
		return s.fitting(algorithm, func(of string) bool { return of == *kid })
	}
	return s.fitting(algorithm, func(of string) bool { return of == "" })
}

func (s *KeySet) knows(kid string) bool {
	return slices.ContainsFunc(s.keys, func(k key) bool { return k.kid == kid })
}

// fitting are the first keys for an algorithm whose identifiers are among those
// wanted.
func (s *KeySet) fitting(algorithm string, wanted func(kid string) bool) []crypto.PublicKey {
	var out []crypto.PublicKey
	for _, k := range s.keys {
		if wanted(k.kid) && slices.Contains(k.algorithms, algorithm) && len(out) < maxTries {
			out = append(out, k.public)
		}
	}
	return out
}

func parseKey(raw []byte) (key, error) {
	var in jwk
	if err := json.Unmarshal(raw, &in); err != nil {
		return key{}, errors.New("it is not a JSON Web Key")
	}
	if err := in.check(); err != nil {
		return key{}, err
	}
	public, algorithms, err := in.public()
	if err != nil {
		return key{}, err
	}
	if in.Alg == "" {
		return key{in.Kid, algorithms, public}, nil
	}
	if !slices.Contains(algorithms, in.Alg) {
		return key{}, fmt.Errorf("its alg %q does not fit its type", in.Alg)
	}
	return key{in.Kid, []string{in.Alg}, public}, nil
}

// check refuses keys that are not made to verify signatures.
func (in *jwk) check() error {
	switch {
	case in.D != nil:
		return errors.New("it is a private key")
	case in.Use != "" && in.Use != "sig":
		return fmt.Errorf("its use is %q, not sig", in.Use)
	case in.KeyOps != nil && !slices.Contains(in.KeyOps, "verify"):
		return errors.New("its key_ops do not have verify")
	case len(in.Kid) > maxKid:
		return fmt.Errorf("its kid is longer than %d bytes", maxKid)
	}
	return nil
}

// public returns the key and what keys of its type may verify.
func (in *jwk) public() (public crypto.PublicKey, algorithms []string, err error) {
	switch in.Kty {
	case "RSA":
		public, err = rsaKey(in)
		return public, []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}, err
	case "EC":
		return ecKey(in)
	case "OKP":
		public, err = edKey(in)
		return public, []string{"EdDSA"}, err
	}
	return nil, nil, fmt.Errorf("its kty is %q, not RSA, EC or OKP", in.Kty)
}

func decode(field, s string) ([]byte, error) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(s)
	if err != nil || len(b) == 0 {
		return nil, fmt.Errorf("its %s is not base64url", field)
	}
	return b, nil
}

func rsaKey(in *jwk) (crypto.PublicKey, error) {
	n, e, err := decodePair("n", in.N, "e", in.E)
	if err != nil {
		return nil, err
	}
	modulus, exponent := new(big.Int).SetBytes(n), new(big.Int).SetBytes(e)
	if bits := modulus.BitLen(); bits < minModulus || bits > maxModulus {
		return nil, fmt.Errorf("its modulus has %d bits, not %d to %d", bits, minModulus, maxModulus)
	}
	if exponent.BitLen() > 31 || exponent.Int64() < 3 || exponent.Bit(0) == 0 {
		return nil, errors.New("its exponent is not an odd number from 3 to 2^31-1")
	}
	return &rsa.PublicKey{N: modulus, E: int(exponent.Int64())}, nil
}

// decodePair decodes two fields.
func decodePair(field1, s1, field2, s2 string) (b1, b2 []byte, err error) {
	if b1, err = decode(field1, s1); err != nil {
		return nil, nil, err
	}
	b2, err = decode(field2, s2)
	return b1, b2, err
}

func ecKey(in *jwk) (crypto.PublicKey, []string, error) {
	curve, algorithm, err := curveOf(in.Crv)
	if err != nil {
		return nil, nil, err
	}
	x, y, err := decodePair("x", in.X, "y", in.Y)
	if err != nil {
		return nil, nil, err
	}
	size := (curve.Params().BitSize + 7) / 8
	if len(x) != size || len(y) != size {
		return nil, nil, fmt.Errorf("its coordinates are not %d bytes long", size)
	}
	point := append(append([]byte{4}, x...), y...) // SEC 1, uncompressed
	public, err := ecdsa.ParseUncompressedPublicKey(curve, point)
	if err != nil {
		return nil, nil, errors.New("its point is not on the curve")
	}
	return public, []string{algorithm}, nil
}

// curveOf returns a curve and the one algorithm that its keys verify.
func curveOf(crv string) (elliptic.Curve, string, error) {
	switch crv {
	case "P-256":
		return elliptic.P256(), "ES256", nil
	case "P-384":
		return elliptic.P384(), "ES384", nil
	case "P-521":
		return elliptic.P521(), "ES512", nil
	}
	return nil, "", fmt.Errorf("its crv is %q, not P-256, P-384 or P-521", crv)
}

func edKey(in *jwk) (crypto.PublicKey, error) {
	if in.Crv != "Ed25519" {
		return nil, fmt.Errorf("its crv is %q, not Ed25519", in.Crv)
	}
	x, err := decode("x", in.X)
	switch {
	case err != nil:
		return nil, err
	case len(x) != ed25519.PublicKeySize:
		return nil, fmt.Errorf("its x is not %d bytes long", ed25519.PublicKeySize)
	case smallOrder(x):
		return nil, errors.New("its point has a small order")
	}
	return ed25519.PublicKey(x), nil
}

// smallOrder says whether an Ed25519 point is one of the few under which
// anybody can make signatures. The list is every encoding of the eight points
// whose order divides 8, the sign bit apart (RFC 7748 section 7 has their
// Montgomery form).
func smallOrder(x []byte) bool {
	const top = 31
	y := slices.Clone(x)
	y[top] &= 0x7f
	slices.Reverse(y)
	n := new(big.Int).SetBytes(y)
	p := new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 255), big.NewInt(19))
	n.Mod(n, p)
	if n.Sign() == 0 || n.Cmp(big.NewInt(1)) == 0 || n.Cmp(new(big.Int).Sub(p, big.NewInt(1))) == 0 {
		return true // orders 4, 1 and 2
	}
	return order8(n, p)
}

// order8 says whether y is the ordinate of a point whose double has order 4,
// that is, has y = 0: on the curve -x²+y² = 1+dx²y² the double's y is
// (y²+x²)/(2-y²+x²), and x² = (y²-1)/(dy²+1).
func order8(y, p *big.Int) bool {
	d := new(big.Int).ModInverse(big.NewInt(121666), p)
	d.Mul(d, big.NewInt(-121665)).Mod(d, p)
	y2 := new(big.Int).Mul(y, y)
	y2.Mod(y2, p)
	denominator := new(big.Int).Mul(d, y2)
	denominator.Add(denominator, big.NewInt(1)).Mod(denominator, p)
	inverse := new(big.Int).ModInverse(denominator, p)
	if inverse == nil {
		return false
	}
	x2 := new(big.Int).Sub(y2, big.NewInt(1))
	x2.Mul(x2, inverse).Mod(x2, p)
	sum := new(big.Int).Add(y2, x2)
	return sum.Mod(sum, p).Sign() == 0
}

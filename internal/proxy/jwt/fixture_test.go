package jwt

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"sync"
	"testing"
	"time"

	gojwt "github.com/golang-jwt/jwt/v5"
)

const issuerURL = "https://issuer.example"

var start = time.Unix(1_800_000_000, 0)

// identity is what an issuer has: keys of every type.
type identity struct {
	rsa  *rsa.PrivateKey
	p256 *ecdsa.PrivateKey
	p384 *ecdsa.PrivateKey
	ed   ed25519.PrivateKey
}

// known is made once: RSA keys take a while.
var known = sync.OnceValue(func() identity {
	r, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	p256, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		panic(err)
	}
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		panic(err)
	}
	return identity{r, p256, p384, ed}
})

// otherKey is a key that the issuer does not have.
func otherKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// public returns a key as a JWK.
func public(t testing.TB, kid string, k crypto.PublicKey) map[string]any {
	t.Helper()
	m := map[string]any{"kid": kid}
	switch k := k.(type) {
	case *rsa.PublicKey:
		m["kty"], m["n"], m["e"] = "RSA", b64(k.N.Bytes()), b64(big.NewInt(int64(k.E)).Bytes())
	case *ecdsa.PublicKey:
		point, err := k.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		half := (len(point) - 1) / 2
		m["kty"], m["crv"], m["x"], m["y"] = "EC", k.Curve.Params().Name, b64(point[1:1+half]), b64(point[1+half:])
	case ed25519.PublicKey:
		m["kty"], m["crv"], m["x"] = "OKP", "Ed25519", b64(k)
	}
	return m
}

func keySet(t testing.TB, keys ...map[string]any) *KeySet {
	t.Helper()
	document, err := json.Marshal(map[string]any{"keys": keys})
	if err != nil {
		t.Fatal(err)
	}
	set, _, err := ParseKeys(document)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func everyKey(t testing.TB) *KeySet {
	t.Helper()
	id := known()
	return keySet(t,
		public(t, "rsa", id.rsa.Public()), public(t, "p256", id.p256.Public()),
		public(t, "p384", id.p384.Public()), public(t, "ed", id.ed.Public()))
}

func verifier(keys *KeySet) *Verifier {
	return &Verifier{Leeway: DefaultLeeway, Issuers: []Issuer{{Name: "i", Issuer: issuerURL, Keys: func() *KeySet { return keys }}}}
}

// claimsWith returns claims that are valid at start, changed: a nil value removes one.
func claimsWith(changes map[string]any) map[string]any {
	c := map[string]any{"iss": issuerURL, "exp": start.Unix() + 300, "sub": "u"}
	for k, v := range changes {
		if v == nil {
			delete(c, k)
			continue
		}
		c[k] = v
	}
	return c
}

func marshal(t testing.TB, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// sign returns a token with exactly those header and payload bytes.
func sign(t testing.TB, method gojwt.SigningMethod, k any, header, payload []byte) string {
	t.Helper()
	input := b64(header) + "." + b64(payload)
	sig, err := method.Sign(input, k)
	if err != nil {
		t.Fatal(err)
	}
	return input + "." + b64(sig)
}

// token returns a token signed by the P-256 key.
func token(t testing.TB, header, claims map[string]any) string {
	t.Helper()
	h := map[string]any{"alg": "ES256", "kid": "p256"}
	for k, v := range header {
		if v == nil {
			delete(h, k)
			continue
		}
		h[k] = v
	}
	return sign(t, gojwt.SigningMethodES256, known().p256, marshal(t, h), marshal(t, claims))
}

// raw returns a token signed by the P-256 key over exactly that payload.
func raw(t testing.TB, payload string) string {
	t.Helper()
	return sign(t, gojwt.SigningMethodES256, known().p256, []byte(`{"alg":"ES256","kid":"p256"}`), []byte(payload))
}

// Package jwttest makes keys and tokens for the tests of those who check tokens.
package jwttest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"github.com/golang-jwt/jwt/v5"
)

// Key signs tokens by ES256.
type Key struct {
	t       testing.TB
	id      string
	private *ecdsa.PrivateKey
	public  string // as a JWK
}

// NewKey returns a new key. Neither it nor its tokens have a kid if id is empty.
func NewKey(t testing.TB, id string) *Key {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	point, err := private.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	b64 := base64.RawURLEncoding.EncodeToString
	public := fmt.Sprintf(`"kty":"EC","crv":"P-256","x":%q,"y":%q`, b64(point[1:33]), b64(point[33:]))
	if id != "" {
		public += fmt.Sprintf(`,"kid":%q`, id)
	}
	return &Key{t: t, id: id, private: private, public: "{" + public + "}"}
}

// Set is the document in which an issuer publishes these keys.
func Set(keys ...*Key) string {
	public := make([]string, len(keys))
	for i, k := range keys {
		public[i] = k.public
	}
	return `{"keys":[` + strings.Join(public, ",") + `]}`
}

// Token is a token with these claims, and no others.
func (k *Key) Token(claims map[string]any) string {
	k.t.Helper()
	token := jwt.NewWithClaims(jwt.SigningMethodES256, jwt.MapClaims(claims))
	if k.id != "" {
		token.Header["kid"] = k.id
	}
	s, err := token.SignedString(k.private)
	if err != nil {
		k.t.Fatal(err)
	}
	return s
}

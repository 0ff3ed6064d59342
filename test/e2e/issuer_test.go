package e2e

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// issuer signs tokens with a key of its own.
type issuer struct{ key ed25519.PrivateKey }

func newIssuer() issuer {
	GinkgoHelper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	Expect(err).NotTo(HaveOccurred())
	return issuer{key}
}

var base64url = base64.RawURLEncoding

// keys is the issuer's key set (RFC 8037 section 2).
func (i issuer) keys() string {
	public := i.key.Public().(ed25519.PublicKey) //nolint:forcetypeassert // it is the key's own.
	return fmt.Sprintf(`{"keys":[{"kty":"OKP","crv":"Ed25519","alg":"EdDSA","use":"sig","kid":"1","x":%q}]}`, base64url.EncodeToString(public))
}

// token says that the bearer is of a team (RFC 7515 section 3.1).
func (i issuer) token(team string) string {
	GinkgoHelper()
	now := time.Now()
	claims, err := json.Marshal(map[string]any{
		"iss": "https://issuer.example", "sub": "user", "team": team, "iat": now.Unix(), "exp": now.Add(time.Hour).Unix(),
	})
	Expect(err).NotTo(HaveOccurred())
	signed := base64url.EncodeToString([]byte(`{"alg":"EdDSA","typ":"JWT","kid":"1"}`)) + "." + base64url.EncodeToString(claims)
	return signed + "." + base64url.EncodeToString(ed25519.Sign(i.key, []byte(signed)))
}

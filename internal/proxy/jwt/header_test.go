package jwt

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"encoding/pem"
	"math/big"
	"slices"
	"strings"
	"testing"

	gojwt "github.com/golang-jwt/jwt/v5"
)

func refused(t *testing.T, tokens map[string]string) {
	t.Helper()
	v := verifier(everyKey(t))
	for name, tok := range tokens {
		t.Run(name, func(t *testing.T) {
			if c, _, err := v.Verify(tok, start); err == nil {
				t.Errorf("the token is accepted, with claims %v", c.members)
			}
		})
	}
}

func TestVerify_AcceptsEveryAlgorithm(t *testing.T) {
	id, v := known(), verifier(everyKey(t))
	for _, c := range []struct {
		method gojwt.SigningMethod
		key    any
		kid    string
	}{
		{gojwt.SigningMethodRS256, id.rsa, "rsa"},
		{gojwt.SigningMethodRS512, id.rsa, "rsa"},
		{gojwt.SigningMethodPS256, id.rsa, "rsa"},
		{gojwt.SigningMethodPS384, id.rsa, "rsa"},
		{gojwt.SigningMethodES256, id.p256, "p256"},
		{gojwt.SigningMethodES384, id.p384, "p384"},
		{gojwt.SigningMethodEdDSA, id.ed, "ed"},
	} {
		t.Run(c.method.Alg(), func(t *testing.T) {
			tok := sign(t, c.method, c.key, marshal(t, map[string]any{"alg": c.method.Alg(), "kid": c.kid, "typ": "JWT"}), marshal(t, claimsWith(nil)))
			claims, issuer, err := v.Verify(tok, start)
			if err != nil {
				t.Fatal(err)
			}
			if !claims.Has("sub", "u") || issuer.Name != "i" {
				t.Errorf("claims %v of %q", claims.members, issuer.Name)
			}
		})
	}
}

func TestJW001_NoAlgorithm(t *testing.T) {
	tokens := map[string]string{}
	payload := b64(marshal(t, claimsWith(nil)))
	for name, alg := range map[string]string{
		"none": `"none"`, "None": `"None"`, "NONE": `"NONE"`, "nOnE": `"nOnE"`, "Empty": `""`, "Null": `null`, "Number": `1`, "Array": `["ES256"]`,
	} {
		head := b64([]byte(`{"alg":` + alg + `}`))
		tokens[name+"Unsigned"] = head + "." + payload + "."
		tokens[name+"Signed"] = head + "." + payload + ".AAAA"
	}
	tokens["Missing"] = b64([]byte(`{}`)) + "." + payload + ".AAAA"
	refused(t, tokens)
}

func TestJW002_PublicKeyAsSecret(t *testing.T) {
	id, tokens := known(), map[string]string{}
	der, err := x509.MarshalPKIXPublicKey(id.rsa.Public())
	if err != nil {
		t.Fatal(err)
	}
	for name, secret := range map[string][]byte{
		"DER": der, "PEM": pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}),
		"JWK": marshal(t, public(t, "rsa", id.rsa.Public())), "Modulus": id.rsa.N.Bytes(),
	} {
		tokens[name] = sign(t, gojwt.SigningMethodHS256, secret, []byte(`{"alg":"HS256","kid":"rsa"}`), marshal(t, claimsWith(nil)))
	}
	refused(t, tokens)
}

func TestJW003_KeyForAnotherUse(t *testing.T) {
	id := known()
	payload := marshal(t, claimsWith(nil))
	withAlg := func(k map[string]any, name string, v any) map[string]any { k[name] = v; return k }
	rs := sign(t, gojwt.SigningMethodRS256, id.rsa, []byte(`{"alg":"RS256","kid":"rsa"}`), payload)
	ps := sign(t, gojwt.SigningMethodPS256, id.rsa, []byte(`{"alg":"PS256","kid":"rsa"}`), payload)
	for name, c := range map[string]struct {
		key map[string]any
		tok string
	}{
		"OtherAlg":     {withAlg(public(t, "rsa", id.rsa.Public()), "alg", "RS256"), ps},
		"UseEnc":       {withAlg(public(t, "rsa", id.rsa.Public()), "use", "enc"), rs},
		"NoVerify":     {withAlg(public(t, "rsa", id.rsa.Public()), "key_ops", []string{"encrypt"}), rs},
		"Symmetric":    {map[string]any{"kty": "oct", "kid": "h", "k": b64([]byte("secret"))}, sign(t, gojwt.SigningMethodHS256, []byte("secret"), []byte(`{"alg":"HS256","kid":"h"}`), payload)},
		"ES256OnP384":  {public(t, "p384", id.p384.Public()), token(t, map[string]any{"kid": "p384"}, claimsWith(nil))},
		"AlgUnfitting": {withAlg(public(t, "rsa", id.rsa.Public()), "alg", "HS256"), rs},
	} {
		t.Run(name, func(t *testing.T) {
			if _, _, err := verifier(keySet(t, c.key)).Verify(c.tok, start); err == nil {
				t.Error("the token is accepted")
			}
		})
	}
}

func TestJW004_Signatures(t *testing.T) {
	good := token(t, nil, claimsWith(nil))
	input := good[:strings.LastIndexByte(good, '.')+1]
	tokens := map[string]string{
		"Zeros": input + b64(make([]byte, 64)), "Short": input + b64(make([]byte, 63)), "Long": input + b64(make([]byte, 65)), "Empty": input,
	}
	id := known()
	rs := sign(t, gojwt.SigningMethodRS256, id.rsa, []byte(`{"alg":"RS256","kid":"rsa"}`), marshal(t, claimsWith(nil)))
	tokens["RSATruncated"] = rs[:len(rs)-4]
	tokens["RSALeadingZero"] = rs[:strings.LastIndexByte(rs, '.')+1] + b64(append([]byte{0}, make([]byte, 256)...))
	other, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tokens["OtherKey"] = sign(t, gojwt.SigningMethodES256, other, []byte(`{"alg":"ES256","kid":"p256"}`), marshal(t, claimsWith(nil)))
	tokens["OtherPayload"] = strings.Join([]string{strings.Split(good, ".")[0], b64(marshal(t, claimsWith(map[string]any{"sub": "admin"}))), strings.Split(good, ".")[2]}, ".")
	refused(t, tokens)
}

// parts of a raw ECDSA signature over P-256.
func rawSignature(r, s *big.Int) string {
	return b64(append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...))
}

func TestJW004_ECDSAOutOfRange(t *testing.T) {
	good := token(t, nil, claimsWith(nil))
	input, encoded := good[:strings.LastIndexByte(good, '.')+1], good[strings.LastIndexByte(good, '.')+1:]
	sig, err := base64.RawURLEncoding.DecodeString(encoded)
	if err != nil {
		t.Fatal(err)
	}
	n := elliptic.P256().Params().N
	r, s, zero := new(big.Int).SetBytes(sig[:32]), new(big.Int).SetBytes(sig[32:]), new(big.Int)
	der, err := asn1.Marshal(struct{ R, S *big.Int }{r, s})
	if err != nil {
		t.Fatal(err)
	}
	refused(t, map[string]string{
		"ZeroR": input + rawSignature(zero, s), "ZeroS": input + rawSignature(r, zero), "OrderR": input + rawSignature(n, s), "OrderS": input + rawSignature(r, n),
		"OneOne": input + rawSignature(big.NewInt(1), big.NewInt(1)), "Swapped": input + rawSignature(s, r), "DER": input + b64(der),
	})
	// docs/decisions/0007: half of the signatures that issuers make are like this.
	for _, other := range []*big.Int{s, new(big.Int).Sub(n, s)} {
		if _, _, err := verifier(everyKey(t)).Verify(input+rawSignature(r, other), start); err != nil {
			t.Errorf("a low and a high s are both valid: %v", err)
		}
	}
}

func TestJW004_EdDSA(t *testing.T) {
	id := known()
	good := sign(t, gojwt.SigningMethodEdDSA, id.ed, []byte(`{"alg":"EdDSA","kid":"ed"}`), marshal(t, claimsWith(nil)))
	input, encoded := good[:strings.LastIndexByte(good, '.')+1], good[strings.LastIndexByte(good, '.')+1:]
	sig, err := base64.RawURLEncoding.DecodeString(encoded)
	if err != nil {
		t.Fatal(err)
	}
	// The group's order, little-endian: S + L is the same number to a lax verifier.
	l, _ := new(big.Int).SetString("7237005577332262213973186563042994240857116359379907606001950938285454250989", 10)
	high := slices.Clone(sig[32:])
	slices.Reverse(high)
	high = new(big.Int).Add(new(big.Int).SetBytes(high), l).FillBytes(make([]byte, 32))
	slices.Reverse(high)
	identity := append([]byte{1}, make([]byte, 63)...) // R is the neutral point, S is 0
	refused(t, map[string]string{
		"Zeros": input + b64(make([]byte, 64)), "SmallOrderR": input + b64(identity), "HighS": input + b64(slices.Concat(sig[:32], high)), "Short": input + b64(sig[:63]),
	})
}

func TestJW007_KeyIdentifiers(t *testing.T) {
	tokens := map[string]string{}
	for name, kid := range map[string]any{
		"Path": "../../dev/null", "URL": "https://evil.example/k", "SQL": "' OR 1=1", "Long": strings.Repeat("k", 64<<10/8), "Number": 1,
		"Array": []string{"p256"}, "LookAlike": "р256", "NUL": "p256\x00", "Empty": "",
	} {
		tokens[name] = token(t, map[string]any{"kid": kid}, claimsWith(nil))
	}
	refused(t, tokens)
}

func TestJW008_NoKeyIdentifier(t *testing.T) {
	if _, _, err := verifier(everyKey(t)).Verify(token(t, map[string]any{"kid": nil}, claimsWith(nil)), start); err != nil {
		t.Errorf("a token without a kid is tried with the keys that fit its algorithm: %v", err)
	}
	var many []map[string]any
	for range maxTries {
		k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		many = append(many, public(t, "x", k.Public()))
	}
	many = append(many, public(t, "p256", known().p256.Public()))
	if _, _, err := verifier(keySet(t, many...)).Verify(token(t, map[string]any{"kid": nil}, claimsWith(nil)), start); err == nil {
		t.Errorf("more than %d keys were tried", maxTries)
	}
}

// TestJW008_KeysWithoutIdentifier: an issuer with one key need not name it in its
// set, though its tokens name it. A key of that name comes before all that have none.
func TestJW008_KeysWithoutIdentifier(t *testing.T) {
	id, other := known(), otherKey(t)
	nameless := func(k crypto.PublicKey) map[string]any {
		m := public(t, "", k)
		delete(m, "kid")
		return m
	}
	for name, test := range map[string]struct {
		keys []map[string]any
		kid  any
		ok   bool
	}{
		"Alone":        {[]map[string]any{nameless(id.p256.Public())}, "p256", true},
		"EmptyToken":   {[]map[string]any{nameless(id.p256.Public())}, "", true},
		"AmongNamed":   {[]map[string]any{public(t, "x", other.Public()), nameless(id.p256.Public())}, "p256", true},
		"NamedIsTaken": {[]map[string]any{public(t, "p256", other.Public()), nameless(id.p256.Public())}, "p256", false},
		"OtherName":    {[]map[string]any{public(t, "x", id.p256.Public())}, "p256", false},
		"OtherKey":     {[]map[string]any{nameless(other.Public())}, "p256", false},
		"OtherType":    {[]map[string]any{nameless(id.rsa.Public())}, "p256", false},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := verifier(keySet(t, test.keys...)).Verify(token(t, map[string]any{"kid": test.kid}, claimsWith(nil)), start)
			if (err == nil) != test.ok {
				t.Errorf("verified: %v", err)
			}
		})
	}
}

func TestJW009_SameKeyIdentifierTwice(t *testing.T) {
	id := known()
	other, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tok := token(t, nil, claimsWith(nil))
	for name, set := range map[string]*KeySet{
		"OtherType": keySet(t, public(t, "p256", id.p256.Public()), public(t, "p256", id.rsa.Public())),
		"SameType":  keySet(t, public(t, "p256", id.p256.Public()), public(t, "p256", other.Public())),
		"Last":      keySet(t, public(t, "p256", other.Public()), public(t, "p256", id.p256.Public())),
	} {
		t.Run(name, func(t *testing.T) {
			if _, _, err := verifier(set).Verify(tok, start); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestJW010_KeysInTheHeader(t *testing.T) {
	attacker, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tokens := map[string]string{}
	for name, h := range map[string]map[string]any{
		"jwk": {"jwk": public(t, "p256", attacker.Public())}, "jku": {"jku": "http://127.0.0.1:1/jwks"},
		"x5u": {"x5u": "http://127.0.0.1:1/cert"}, "x5c": {"x5c": []string{"AAAA"}},
	} {
		h["alg"], h["kid"] = "ES256", "p256"
		tokens[name] = sign(t, gojwt.SigningMethodES256, attacker, marshal(t, h), marshal(t, claimsWith(nil)))
	}
	refused(t, tokens)
}

func TestJW011_JW012_Extensions(t *testing.T) {
	tokens := map[string]string{}
	for name, h := range map[string]map[string]any{
		"CritExp": {"crit": []string{"exp"}}, "CritB64": {"crit": []string{"b64"}, "b64": false}, "CritUnknown": {"crit": []string{"x"}}, "CritEmpty": {"crit": []string{}},
		"CritString": {"crit": "b64"}, "B64": {"b64": false}, "B64True": {"b64": true},
	} {
		tokens[name] = token(t, h, claimsWith(nil))
	}
	parts := strings.Split(token(t, nil, claimsWith(nil)), ".")
	tokens["Detached"] = parts[0] + ".." + parts[2]
	refused(t, tokens)
}

func TestJW013_JW014_Kinds(t *testing.T) {
	good := token(t, nil, claimsWith(nil))
	parts := strings.Split(good, ".")
	refused(t, map[string]string{
		"DPoP": token(t, map[string]any{"typ": "dpop+jwt"}, claimsWith(nil)), "Logout": token(t, map[string]any{"typ": "logout+jwt"}, claimsWith(nil)),
		"OtherType": token(t, map[string]any{"typ": "application/x"}, claimsWith(nil)), "Nested": token(t, map[string]any{"cty": "JWT"}, claimsWith(nil)),
		"JWE": good + ".a.b", "TwoParts": parts[0] + "." + parts[1], "FourParts": good + ".", "Dots": strings.Repeat(".", 10_000), "JSON": `{"payload":"` + parts[1] + `"}`,
	})
	for _, typ := range []string{"JWT", "at+jwt", "application/at+jwt", "jwt"} {
		if _, _, err := verifier(everyKey(t)).Verify(token(t, map[string]any{"typ": typ}, claimsWith(nil)), start); err != nil {
			t.Errorf("%s: %v", typ, err)
		}
	}
}

func TestJW015_Encoding(t *testing.T) {
	good := token(t, nil, claimsWith(nil))
	parts := strings.Split(good, ".")
	last := strings.LastIndexByte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_", good[len(good)-1])
	trailing := good[:len(good)-1] + string("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"[last^1])
	refused(t, map[string]string{
		"Padding": good + "==", "Plus": strings.Replace(good, ".", "+.", 1), "Slash": good + "/", "CRLF": parts[0] + "\r\n." + parts[1] + "." + parts[2],
		"Tab": parts[0] + ".\t" + parts[1] + "." + parts[2], "TrailingBits": trailing, "TrailingDot": good + ".", "Percent": strings.ReplaceAll(good, ".", "%2e"), "Space": " " + good,
		"InSignature": parts[0] + "." + parts[1] + "." + parts[2][:9] + "\n" + parts[2][9:], "AtTheEnd": good + "\r\n",
	})
}

// TestJW003_AlgorithmsOfAnIssuer: what an issuer does not sign with is not taken,
// whatever its keys could verify.
func TestJW003_AlgorithmsOfAnIssuer(t *testing.T) {
	v, tok := verifier(everyKey(t)), token(t, nil, claimsWith(nil))
	for _, c := range []struct {
		algorithms []string
		ok         bool
	}{{nil, true}, {[]string{"RS256", "ES256"}, true}, {[]string{"RS256"}, false}, {[]string{"ES384"}, false}} {
		v.Issuers[0].Algorithms = c.algorithms
		if _, _, err := v.Verify(tok, start); (err == nil) != c.ok {
			t.Errorf("%v: %v", c.algorithms, err)
		}
	}
}

func TestJW016_HeaderJSON(t *testing.T) {
	payload, tokens := marshal(t, claimsWith(nil)), map[string]string{}
	for name, h := range map[string]string{
		"DuplicateAlg": `{"alg":"ES256","alg":"ES256","kid":"p256"}`, "UpperAlg": `{"alg":"ES256","ALG":"none","kid":"p256"}`, "OnlyUpper": `{"ALG":"ES256","kid":"p256"}`,
		"Garbage": `{"alg":"ES256","kid":"p256"}x`, "ByteOrderMark": "\xef\xbb\xbf" + `{"alg":"ES256","kid":"p256"}`, "NotUTF8": "{\"alg\":\"ES256\",\"kid\":\"p256\",\"x\":\"\xff\"}",
		"Deep": `{"alg":"ES256","kid":"p256","x":` + strings.Repeat("[", 11_000) + strings.Repeat("]", 11_000) + `}`, "EscapedTwice": `{"alg":"ES256","\u0061lg":"none","kid":"p256"}`,
	} {
		tokens[name] = sign(t, gojwt.SigningMethodES256, known().p256, []byte(h), payload)
	}
	refused(t, tokens)
}

package jwt

import (
	"strings"
	"testing"
	"time"

	gojwt "github.com/golang-jwt/jwt/v5"
)

// TestRFC7515_A3 is the published example of an ES256 signature.
func TestRFC7515_A3(t *testing.T) {
	set, skipped, err := ParseKeys([]byte(`{"keys":[{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]}`))
	if err != nil || len(skipped) > 0 {
		t.Fatal(err, skipped)
	}
	const tok = "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"
	v := &Verifier{Issuers: []Issuer{{Issuer: "joe", Keys: func() *KeySet { return set }}}}
	c, _, err := v.Verify(tok, time.Unix(1300819379, 0))
	if err != nil {
		t.Fatal(err)
	}
	if !c.Has("http://example.com/is_root", "true") {
		t.Errorf("claims are %v", c.members)
	}
	if _, _, err := v.Verify(tok, time.Unix(1300819380, 0)); err == nil {
		t.Error("the token is accepted after its time")
	}
}

// TestRFC7515_A2 is the published example of an RS256 signature.
func TestRFC7515_A2(t *testing.T) {
	set, skipped, err := ParseKeys([]byte(`{"keys":[{"kty":"RSA","n":"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ","e":"AQAB"}]}`))
	if err != nil || len(skipped) > 0 {
		t.Fatal(err, skipped)
	}
	const tok = "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw"
	v := &Verifier{Issuers: []Issuer{{Issuer: "joe", Keys: func() *KeySet { return set }}}}
	if _, _, err := v.Verify(tok, time.Unix(1300819379, 0)); err != nil {
		t.Error(err)
	}
}

// TestRFC7519 is the published tokens that must not be valid here, whatever the
// key: one with a shared secret (section 3.1), one without a signature (6.1).
func TestRFC7519(t *testing.T) {
	set, _, err := ParseKeys([]byte(`{"keys":[{"kty":"oct","k":"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"}]}`))
	if err != nil || set.Len() != 0 {
		t.Fatalf("%d keys, %v", set.Len(), err)
	}
	const claims = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"
	v := &Verifier{Issuers: []Issuer{{Issuer: "joe", Keys: func() *KeySet { return set }}}}
	for section, tok := range map[string]string{
		"3.1": "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9." + claims + ".dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk", "6.1": "eyJhbGciOiJub25lIn0." + claims + ".",
	} {
		if _, _, err := v.Verify(tok, time.Unix(1300819379, 0)); err == nil {
			t.Errorf("the token of section %s is accepted", section)
		}
	}
}

// TestPublishedSignatures checks signatures whose payload is no set of claims,
// with keys as this package reads them.
func TestPublishedSignatures(t *testing.T) {
	for name, c := range map[string]struct{ alg, key, jws string }{
		"RFC8037_A4": {
			"EdDSA", `{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}`,
			"eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg",
		},
		"RFC7520_4.3": {
			"ES512", `{"kty":"EC","kid":"bilbo.baggins@hobbiton.example","use":"sig","crv":"P-521","x":"AHKZLLOsCOzz5cY97ewNUajB957y-C-U88c3v13nmGZx6sYl_oJXu9A5RkTKqjqvjyekWF-7ytDyRXYgCF5cj0Kt","y":"AdymlHvOiLxXkEhayXQnNCvDX4h9htZaCJN34kfmC6pV5OhQHiraVySsUdaQkAgDPrwQrJmbnX9cwlGfP-HqHZR1"}`,
			"eyJhbGciOiJFUzUxMiIsImtpZCI6ImJpbGJvLmJhZ2dpbnNAaG9iYml0b24uZXhhbXBsZSJ9.SXTigJlzIGEgZGFuZ2Vyb3VzIGJ1c2luZXNzLCBGcm9kbywgZ29pbmcgb3V0IHlvdXIgZG9vci4gWW91IHN0ZXAgb250byB0aGUgcm9hZCwgYW5kIGlmIHlvdSBkb24ndCBrZWVwIHlvdXIgZmVldCwgdGhlcmXigJlzIG5vIGtub3dpbmcgd2hlcmUgeW91IG1pZ2h0IGJlIHN3ZXB0IG9mZiB0by4.AE_R_YZCChjn4791jSQCrdPZCNYqHXCTZH0-JZGYNlaAjP2kqaluUIIUnC9qvbu9Plon7KRTzoNEuT4Va2cmL1eJAQy3mtPBu_u_sDDyYjnAMDxXPn7XrT0lw-kvAD890jl8e2puQens_IEKBpHABlsbEPX6sFY8OcGDqoRuBomu9xQ2",
		},
	} {
		t.Run(name, func(t *testing.T) {
			set, skipped, err := ParseKeys([]byte(`{"keys":[` + c.key + `]}`))
			if err != nil || len(skipped) > 0 {
				t.Fatal(err, skipped)
			}
			keys := set.candidates(nil, c.alg)
			end := strings.LastIndexByte(c.jws, '.')
			sig, err := gojwt.NewParser(gojwt.WithStrictDecoding()).DecodeSegment(c.jws[end+1:])
			if err != nil || len(keys) != 1 {
				t.Fatal(len(keys), err)
			}
			method := gojwt.GetSigningMethod(c.alg)
			if err := method.Verify(c.jws[:end], sig, keys[0]); err != nil {
				t.Error(err)
			}
			if method.Verify(c.jws[:end]+"A", sig, keys[0]) == nil {
				t.Error("another text has the same signature")
			}
		})
	}
}

package jwt

import (
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"testing"

	gojwt "github.com/golang-jwt/jwt/v5"
)

func TestJW017_PayloadJSON(t *testing.T) {
	iss := `"iss":"` + issuerURL + `"`
	tokens := map[string]string{}
	for name, payload := range map[string]string{
		"DuplicateSub": `{` + iss + `,"exp":1800000300,"sub":"a","sub":"b"}`, "DuplicateAud": `{` + iss + `,"exp":1800000300,"aud":"a","aud":"b"}`,
		"DuplicateExp": `{` + iss + `,"exp":1,"exp":1800000300}`, "UpperSub": `{` + iss + `,"exp":1800000300,"SUB":"a"}`, "Array": `[]`, "String": `"x"`, "Null": `null`,
		"NotUTF8": "{" + iss + ",\"exp\":1800000300,\"x\":\"\xff\"}", "Deep": `{` + iss + `,"exp":1800000300,"x":` + strings.Repeat("[", 11_000) + strings.Repeat("]", 11_000) + `}`,
	} {
		tokens[name] = raw(t, payload)
	}
	for _, name := range []string{"ISS", "Sub", "AUD", "Exp", "NBF", "Iat", "Scope", "SCP"} { // other readers take them for ours
		tokens["Twin"+name] = raw(t, `{`+iss+`,"exp":1800000300,"`+name+`":null}`)
	}
	refused(t, tokens)
	c, _, err := verifier(everyKey(t)).Verify(raw(t, `{`+iss+`,"exp":1800000300,"id":9007199254740993,"f":1.10}`), start)
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{"id": "9007199254740993", "f": "1.10"} {
		if got, _ := c.Header(path); got != want {
			t.Errorf("%s is %q, want the number's own text %q", path, got, want)
		}
	}
}

func TestJW018_Bearer(t *testing.T) {
	for name, c := range map[string]struct {
		fields []string
		want   string
		err    error // nil with want "": any
	}{
		"One": {fields: []string{"Bearer a.b.c"}, want: "a.b.c"}, "LowerCase": {fields: []string{"bearer a.b.c"}, want: "a.b.c"},
		"Missing": {err: ErrMissing}, "Basic": {fields: []string{"Basic eA=="}, err: ErrMissing},
		"Two": {fields: []string{"Bearer a.b.c", "Bearer a.b.c"}}, "TwoSpaces": {fields: []string{"Bearer  a.b.c"}}, "Tab": {fields: []string{"Bearer\ta.b.c"}, err: ErrMissing},
		"Comma": {fields: []string{"Bearer a.b.c, Bearer d.e.f"}}, "Only": {fields: []string{"Bearer"}}, "OnlySpace": {fields: []string{"Bearer "}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Bearer(slices.Values(c.fields))
			if got != c.want || (c.want == "") != (err != nil) || c.err != nil && !errors.Is(err, c.err) {
				t.Errorf("got %q and %v", got, err)
			}
		})
	}
	for _, size := range []int{MaxToken + 1, 64 << 10, 1 << 20} {
		if _, _, err := verifier(everyKey(t)).Verify(strings.Repeat("a", size), start); err == nil {
			t.Errorf("a token of %d bytes is looked at", size)
		}
	}
}

func TestJW020_JW021_Times(t *testing.T) {
	iss := `{"iss":"` + issuerURL + `"`
	tokens := map[string]string{}
	for name, exp := range map[string]string{
		"Null": "null", "Zero": "0", "Negative": "-1", "String": `"1999999999"`, "Huge": "1e300", "Infinite": "1e400", "MaxInt": "9223372036854775807", "True": "true", "Array": "[]",
	} {
		tokens["Exp"+name] = raw(t, iss+`,"exp":`+exp+`}`)
		if name != "Null" && name != "Zero" {
			tokens["Nbf"+name] = raw(t, iss+`,"exp":1800000300,"nbf":`+exp+`}`)
			tokens["Iat"+name] = raw(t, iss+`,"exp":1800000300,"iat":`+exp+`}`)
		}
	}
	tokens["ExpMissing"] = raw(t, iss+`}`)
	refused(t, tokens)
	for _, claims := range []string{`"exp":1.9e9`, `"exp":1999999999.5`, `"exp":1800000300,"nbf":0,"iat":0`} { // some issuers write 0 for "always"
		if _, _, err := verifier(everyKey(t)).Verify(raw(t, iss+`,`+claims+`}`), start); err != nil {
			t.Errorf("%s: %v", claims, err)
		}
	}
}

func TestJW022_Leeway(t *testing.T) {
	at := func(name string, offset int64) string {
		return token(t, nil, claimsWith(map[string]any{name: start.Unix() + offset}))
	}
	v := verifier(everyKey(t))
	for name, c := range map[string]struct {
		tok string
		ok  bool
	}{
		"ExpWithin": {at("exp", -59), true}, "ExpAtLeeway": {at("exp", -60), false}, "ExpBeyond": {at("exp", -61), false},
		"NbfWithin": {at("nbf", 60), true}, "NbfBeyond": {at("nbf", 61), false}, "IatWithin": {at("iat", 60), true}, "IatBeyond": {at("iat", 61), false},
	} {
		t.Run(name, func(t *testing.T) {
			if _, _, err := v.Verify(c.tok, start); (err == nil) != c.ok {
				t.Errorf("got %v, want accepted %v", err, c.ok)
			}
		})
	}
}

func TestJW023_Issuers(t *testing.T) {
	tokens := map[string]string{"Missing": token(t, nil, claimsWith(map[string]any{"iss": nil}))}
	for name, iss := range map[string]any{"Slash": issuerURL + "/", "Case": "HTTPS://issuer.example", "Array": []string{issuerURL}, "Prefix": issuerURL[:10], "Longer": issuerURL + ".evil"} {
		tokens[name] = token(t, nil, claimsWith(map[string]any{"iss": iss}))
	}
	refused(t, tokens)

	id := known()
	ours, theirs := keySet(t, public(t, "k", id.p384.Public())), keySet(t, public(t, "k", id.p256.Public()))
	v := &Verifier{Issuers: []Issuer{
		{Issuer: issuerURL, Keys: func() *KeySet { return ours }},
		{Issuer: "https://other.example", Keys: func() *KeySet { return theirs }},
	}}
	if _, _, err := v.Verify(token(t, map[string]any{"kid": "k"}, claimsWith(nil)), start); err == nil {
		t.Error("a key of one issuer is used for another's token")
	}
}

func TestJW024_Audiences(t *testing.T) {
	keys := everyKey(t)
	v := verifier(keys)
	v.Issuers[0].Audiences = []string{"api", "web"}
	many := make([]string, maxMembers+1)
	many[0] = "api"
	for name, c := range map[string]struct {
		aud any
		ok  bool
	}{
		"String": {"api", true}, "Array": {[]string{"x", "web"}, true}, "Number": {[]any{"api", 1}, false}, "Empty": {[]string{}, false}, "Missing": {nil, false},
		"Substring": {"ap", false}, "Longer": {"api2", false}, "Object": {map[string]any{"api": 1}, false}, "Many": {many, false},
	} {
		t.Run(name, func(t *testing.T) {
			if _, _, err := v.Verify(token(t, nil, claimsWith(map[string]any{"aud": c.aud})), start); (err == nil) != c.ok {
				t.Errorf("got %v, want accepted %v", err, c.ok)
			}
		})
	}
}

func TestJW025_ClaimTypes(t *testing.T) {
	refused(t, map[string]string{
		"SubObject": token(t, nil, claimsWith(map[string]any{"sub": map[string]any{"a": 1}})), "ScopeArray": token(t, nil, claimsWith(map[string]any{"scope": []string{"a"}})),
		"ScpNumber": token(t, nil, claimsWith(map[string]any{"scp": 1})), "SubNumber": token(t, nil, claimsWith(map[string]any{"sub": 1})),
	})
}

func TestJW026_ClaimToHeader(t *testing.T) {
	c, _, err := verifier(everyKey(t)).Verify(token(t, nil, claimsWith(map[string]any{
		"plain": "v", "crlf": "a\r\nX: y", "nul": "a\x00", "umlaut": "ä", "long": strings.Repeat("x", maxHeaderValue+1), "object": map[string]any{"a": 1}, "array": []any{"a", 2},
		"yes": true, "null": nil, "empty": "", "deep": map[string]any{"er": map[string]any{"x": "found"}}, "a.b": "dotted", "teams": []string{"alpha", "beta"},
		"https://example.com/claims": map[string]any{"team.name": "red", "x": map[string]any{"y": 1}}, "https://example": map[string]any{"com/claims": map[string]any{"x": "shorter"}},
	})), start)
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		"plain": "v", "crlf": "", "nul": "", "umlaut": "", "long": "", "object": `{"a":1}`, "array": `["a",2]`, "yes": "true", "null": "", "missing": "", "empty": "",
		"deep.er.x": "found", "deep.none": "", "plain.x": "", "a.b": "dotted", "https://example.com/claims.team.name": "red", "https://example.com/claims.x.y": "1",
		"https://example.com/claims.none": "", "https://example.com": "", "..": "",
	} {
		if got, ok := c.Header(path); got != want || ok != (want != "") {
			t.Errorf("%s: got %q, %v", path, got, ok)
		}
	}
	for _, h := range []struct {
		path, value string
		want        bool
	}{{"teams", "beta", true}, {"teams", "bet", false}, {"plain", "v", true}, {"yes", "true", true}, {"deep.er.x", "found", true}, {"missing", "", false}} {
		if c.Has(h.path, h.value) != h.want {
			t.Errorf("Has(%q, %q) is %v", h.path, h.value, !h.want)
		}
	}
}

// TestJW026_SpaceInClaims: a field's value has no space around it, so that a claim
// with some would be read as another one; space between a list's members says
// nothing.
func TestJW026_SpaceInClaims(t *testing.T) {
	c, _, err := verifier(everyKey(t)).Verify(raw(t, `{"iss":"`+issuerURL+`","exp":1800000300,"before":" admin","after":"admin ","within":"a b","groups":[ "a",`+"\n\t"+`"b c" ],"map":{ "a" : [1,`+"\r\n"+` 1.0] }}`), start)
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{"before": "", "after": "", "within": "a b", "groups": `["a","b c"]`, "map": `{"a":[1,1.0]}`} {
		if got, ok := c.Header(path); got != want || ok != (want != "") {
			t.Errorf("%s: got %q, %v", path, got, ok)
		}
	}
}

func TestJW030_NoKeys(t *testing.T) {
	if _, _, err := verifier(nil).Verify(token(t, nil, claimsWith(nil)), start); !errors.Is(err, ErrNoKeys) {
		t.Errorf("got %v, want ErrNoKeys", err)
	}
}

func TestJW032_UnknownKeyIsReported(t *testing.T) {
	v, asked := verifier(everyKey(t)), 0
	v.Issuers[0].Unknown = func() { asked++ }
	good := token(t, nil, claimsWith(nil))
	sameName := sign(t, gojwt.SigningMethodES256, otherKey(t), []byte(`{"alg":"ES256","kid":"p256"}`), marshal(t, claimsWith(nil)))
	for i, tok := range []string{token(t, map[string]any{"kid": "new"}, claimsWith(nil)), sameName} {
		if _, _, err := v.Verify(tok, start); err == nil || asked != i+1 {
			t.Errorf("got %v, asked %d times", err, asked)
		}
	}
	if _, _, err := v.Verify(good, start); err != nil || asked != 2 {
		t.Errorf("got %v, asked %d times", err, asked)
	}
}

func TestJW005_JW006_JW037_BadKeysAreSkipped(t *testing.T) {
	good := string(marshal(t, public(t, "p256", known().p256.Public())))
	huge := b64(new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 16384), big.NewInt(1)).Bytes())
	modulus := b64(known().rsa.N.Bytes())
	zero := b64(make([]byte, 32))
	for name, bad := range map[string]string{
		"RSA512": `{"kty":"RSA","n":"` + b64(make([]byte, 64)) + `","e":"AQAB"}`, "RSA16k": `{"kty":"RSA","n":"` + huge + `","e":"AQAB"}`, "Exponent1": `{"kty":"RSA","n":"` + modulus + `","e":"AQ"}`,
		"ExponentEven": `{"kty":"RSA","n":"` + modulus + `","e":"BA"}`, "OffCurve": `{"kty":"EC","crv":"P-256","x":"` + b64([]byte(strings.Repeat("a", 32))) + `","y":"` + b64([]byte(strings.Repeat("b", 32))) + `"}`,
		"ShortX": `{"kty":"EC","crv":"P-256","x":"AAAA","y":"` + zero + `"}`, "OKPLength": `{"kty":"OKP","crv":"Ed25519","x":"AAAA"}`, "OKPSmallOrder": `{"kty":"OKP","crv":"Ed25519","x":"` + zero + `"}`,
		"OKPOrder8": `{"kty":"OKP","crv":"Ed25519","x":"JuiVj8KyJ7BFw_SJ8u-Y8NXfrAXTxjM5sTgCiG1T_AU"}`, "Symmetric": `{"kty":"oct","k":""}`, "UnknownType": `{"kty":"XYZ"}`, "BadBase64": `{"kty":"RSA","n":"@","e":"AQAB"}`,
		"Private": `{"kty":"RSA","n":"` + modulus + `","e":"AQAB","d":"c2VjcmV0LW1hdGVyaWFs"}`, "NotAnObject": `"x"`, "Curve": `{"kty":"EC","crv":"secp256k1"}`,
		"AlgorithmOfSecrets": `{"kty":"RSA","n":"` + modulus + `","e":"AQAB","alg":"HS256"}`, "AlgorithmOfAnotherType": `{"kty":"RSA","n":"` + modulus + `","e":"AQAB","alg":"ES256"}`,
	} {
		t.Run(name, func(t *testing.T) {
			set, skipped, err := ParseKeys([]byte(`{"keys":[` + bad + `,` + good + `]}`))
			if err != nil || set.Len() != 1 || len(skipped) != 1 {
				t.Fatalf("%d keys, skipped %v, %v", set.Len(), skipped, err)
			}
			if strings.Contains(fmt.Sprint(skipped), "c2VjcmV0") {
				t.Errorf("the reason names private material: %v", skipped)
			}
		})
	}
	for name, document := range map[string]string{"HTML": "<html>", "Empty": "", "NoKeys": "{}", "Duplicate": `{"keys":[],"keys":[]}`, "TooMany": `{"keys":[` + strings.Repeat(good+",", maxKeys) + good + `]}`} {
		t.Run(name, func(t *testing.T) {
			if _, _, err := ParseKeys([]byte(document)); err == nil {
				t.Error("the document is taken for a key set")
			}
		})
	}
}

func FuzzVerify(f *testing.F) {
	f.Add(token(f, nil, claimsWith(nil)))
	f.Add("a.b.c")
	v := verifier(everyKey(f))
	good := token(f, nil, claimsWith(nil))
	f.Fuzz(func(t *testing.T, tok string) {
		if _, _, err := v.Verify(tok, start); err == nil && strings.Split(tok, ".")[1] != strings.Split(good, ".")[1] && !strings.HasPrefix(tok, "ey") {
			t.Errorf("a token is accepted that nobody signed: %q", tok)
		}
	})
}

func BenchmarkVerify(b *testing.B) {
	v, tok := verifier(everyKey(b)), token(b, nil, claimsWith(nil))
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := v.Verify(tok, start); err != nil {
			b.Fatal(err)
		}
	}
}

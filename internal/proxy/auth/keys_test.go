package auth

import (
	"crypto/sha256"
	"errors"
	"strings"
	"testing"

	"github.com/citoroute/citoroute/internal/ir"
)

const (
	alphaKey = "alpha-0123456789-0123456789-0123456789"
	betaKey  = "beta--0123456789-0123456789-0123456789"
	nextKey  = "next--0123456789-0123456789-0123456789"
)

func hashed(keys ...string) map[string]ir.Bytes {
	out := map[string]ir.Bytes{}
	for _, k := range keys {
		sum := sha256.Sum256([]byte(k))
		out[k[:5]] = sum[:]
	}
	return out
}

// alphaAndBeta are the keys of two consumers; a third has the first one's.
func alphaAndBeta() *Keys {
	secrets := map[string]*ir.Secret{
		"a": {Values: hashed(alphaKey, nextKey, "short")}, "b": {Values: hashed(betaKey)}, "broken": {Values: map[string]ir.Bytes{"x": []byte("short")}},
	}
	consumer := func(name, secret string) *ir.Policy {
		return &ir.Policy{Name: name, Consumer: &ir.Consumer{APIKeys: secret}}
	}
	return NewKeys([]*ir.Policy{
		{Name: "claim", Consumer: &ir.Consumer{Claim: "sub", Value: "x"}},
		{Name: "tokens", JWT: &ir.JWT{}},
		consumer("alpha", "a"), consumer("beta", "b"), consumer("same", "a"), consumer("broken", "broken"), consumer("gone", "gone"),
	}, func(name string) *ir.Secret { return secrets[name] })
}

func TestKeys_Find(t *testing.T) {
	keys := alphaAndBeta()
	for name, c := range map[string]struct {
		fields []string
		is     string // empty: not known
		tokens bool   // there is a gate of tokens too
		reason error
	}{
		"Bearer":      {fields: []string{"Authorization", "Bearer " + alphaKey}, is: "alpha"},
		"LowerCase":   {fields: []string{"authorization", "bearer " + alphaKey}, is: "alpha"},
		"Anthropic":   {fields: []string{"x-api-key", alphaKey}, is: "alpha"},
		"Azure":       {fields: []string{"Api-Key", alphaKey}, is: "alpha"},
		"Rotation":    {fields: []string{"x-api-key", nextKey}, is: "alpha"},
		"SharedKey":   {fields: []string{"x-api-key", alphaKey}, is: "same"},
		"Other":       {fields: []string{"x-api-key", betaKey}, is: "beta"},
		"SameTwice":   {fields: []string{"x-api-key", alphaKey, "Authorization", "Bearer " + alphaKey}, is: "alpha"},
		"EmptyField":  {fields: []string{"x-api-key", "", "Authorization", "Bearer " + alphaKey}, is: "alpha"},
		"Unknown":     {fields: []string{"x-api-key", alphaKey + "x"}, reason: errUnknownKey},
		"UnknownBear": {fields: []string{"Authorization", "Bearer " + alphaKey + "x"}, reason: errUnknownKey},
		"ForTheGate":  {fields: []string{"Authorization", "Bearer a.b.c"}, tokens: true},
		"NoToken":     {fields: []string{"Authorization", "Bearer " + alphaKey + "x"}, tokens: true, reason: errUnknownKey},
		"NotForIt":    {fields: []string{"x-api-key", "a.b.c"}, tokens: true, reason: errUnknownKey},
		"Short":       {fields: []string{"x-api-key", "short"}, reason: errUnknownKey},
		"None":        {},
		"Underscore":  {fields: []string{"x_api_key", alphaKey}},
	} {
		t.Run(name, func(t *testing.T) {
			req := request(c.fields...)
			caller, known, err := keys.Find(&req.Header, c.tokens)
			if known != (c.is != "") || !errors.Is(err, c.reason) || (err == nil) != (c.reason == nil) {
				t.Fatalf("known %v, %v", known, err)
			}
			if known && !caller.Is(&ir.Policy{Name: c.is, Consumer: &ir.Consumer{}}) || caller.Is(&ir.Policy{Name: "gone", Consumer: &ir.Consumer{}}) {
				t.Errorf("the caller is %v", caller.keyOf)
			}
		})
	}
	req := request("x-api-key", alphaKey)
	if _, known, err := (*Keys)(nil).Find(&req.Header, false); known || err == nil {
		t.Error("no keys know a key")
	}
}

func TestJW018_TwoCredentials(t *testing.T) {
	keys := alphaAndBeta()
	for name, fields := range map[string][]string{
		"BearerAndKey":  {"Authorization", "Bearer " + alphaKey, "x-api-key", betaKey},
		"TokenAndKey":   {"Authorization", "Bearer a.b.c", "x-api-key", alphaKey},
		"TwoKeyFields":  {"x-api-key", alphaKey, "api-key", betaKey},
		"OneFieldTwice": {"x-api-key", alphaKey, "x-api-key", betaKey},
		"TwoBearers":    {"Authorization", "Bearer " + alphaKey, "Authorization", "Bearer " + betaKey},
		"BasicAndKey":   {"Authorization", "Basic eA==", "x-api-key", alphaKey},
		"CommaJoined":   {"Authorization", "Bearer " + alphaKey + ", Bearer " + betaKey},
	} {
		t.Run(name, func(t *testing.T) {
			req := request(fields...)
			_, known, err := keys.Find(&req.Header, true)
			if _, refused := errors.AsType[*Refusal](err); known || !refused {
				t.Errorf("known %v, %v", known, err)
			}
		})
	}
}

func TestLM005_KeyLookup(t *testing.T) {
	keys := alphaAndBeta()
	for name, key := range map[string]string{
		"SQL": "' OR 1=1 -- 0123456789012345678901234567", "Long": strings.Repeat("k", 1<<20), "NUL": alphaKey + "\x00", "LeadingSpace": " " + alphaKey,
		"Prefix": alphaKey[:len(alphaKey)-1], "Hash": string(hashed(alphaKey)["alpha"]), "Short": "short", "Case": strings.ToUpper(alphaKey),
	} {
		t.Run(name, func(t *testing.T) {
			req := request("x-api-key", key)
			_, known, err := keys.Find(&req.Header, false)
			if known || !errors.Is(err, errUnknownKey) {
				t.Fatalf("known %v, %v: every unknown key must be refused alike", known, err)
			}
			if refusal, _ := errors.AsType[*Refusal](err); strings.Contains(refusal.Challenge()+err.Error(), key) {
				t.Errorf("the refusal repeats the key: %s", refusal.Challenge())
			}
		})
	}
	allocations := testing.AllocsPerRun(100, func() {
		req := request("x-api-key", strings.Repeat("k", 1<<10))
		_, _, _ = keys.Find(&req.Header, false)
	})
	if allocations > 6 { // the request is most of them
		t.Errorf("%v allocations for an unknown key", allocations)
	}
}

func BenchmarkKeys_Find(b *testing.B) {
	keys, req := alphaAndBeta(), request("Authorization", "Bearer "+alphaKey)
	b.ReportAllocs()
	for b.Loop() {
		if _, known, _ := keys.Find(&req.Header, false); !known {
			b.Fatal("not known")
		}
	}
}

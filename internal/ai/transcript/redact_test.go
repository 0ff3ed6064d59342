package transcript

import (
	"strings"
	"testing"
)

func TestRedact(t *testing.T) {
	jwt := "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhIn0.c2lnbmF0dXJl"
	for name, c := range map[string]struct{ in, want string }{
		"Plain":          {"What does a gateway do? See http://a.test/x:1 at 12:30.", "What does a gateway do? See http://a.test/x:1 at 12:30."},
		"OpenAIKey":      {"use sk-proj-AbC_123-456xyz, please", "use [redacted: key], please"},
		"AnthropicKey":   {"sk-ant-api03-abcdefgh", "[redacted: key]"},
		"NoKey":          {"risk-assessment, task-oriented-dialogue", "risk-assessment, task-oriented-dialogue"},
		"AWSKey":         {"id AKIAIOSFODNN7EXAMPLE.", "id [redacted: key]."},
		"AWSSecret":      {"AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI/K7MDENG", "AWS_SECRET_ACCESS_KEY=[redacted: credential]"},
		"GitHub":         {"ghp_0123456789abcdefghij0123456789", "[redacted: key]"},
		"Slack":          {"xoxb-1234567890-abc", "[redacted: key]"},
		"Stripe":         {"sk_live_0123456789ab", "[redacted: key]"},
		"Google":         {"AIzaSyA-0123456789_0123456789abcdefg", "[redacted: key]"},
		"Bedrock":        {"ABSKQmVkcm9ja0FQSUtleS1hYmNkZWZn", "[redacted: key]"},
		"JWT":            {"token " + jwt + " end", "token [redacted: token] end"},
		"Bearer":         {"curl -H 'X: Bearer abcdef0123456789abcdef'", "curl -H 'X: Bearer [redacted: token]'"},
		"BearerOfNews":   {"the bearer of good news", "the bearer of good news"},
		"Authorization":  {"Authorization: Basic dXNlcjpwYXNz\nHost: a", "Authorization: [redacted: credential]\nHost: a"},
		"Password":       {`password = hunter2; user=me`, `password = [redacted: credential]; user=me`},
		"QuotedPassword": {`{"password": "my pass phrase", "a": 1}`, `{"password": [redacted: credential]", "a": 1}`},
		"Escaped":        {`{\"api_key\":\"abc def\",\"a\":1}`, `{\"api_key\":[redacted: credential]\",\"a\":1}`},
		"Question":       {"how do I reset my password?", "how do I reset my password?"},
		"DataURI":        {"see data:image/png;base64,iVBORw0KGgo= here", "see [redacted: binary] here"},
		"Base64":         {"x " + strings.Repeat("QUJD", 64) + " y", "x [redacted: binary] y"},
		"LongWord":       {strings.Repeat("a", 255), strings.Repeat("a", 255)},
		"PrivateKey":     {"-----BEGIN RSA PRIVATE KEY-----\nabc\n-----END RSA PRIVATE KEY----- ok", "[redacted: private key] ok"},
		"HalfPrivateKey": {"-----BEGIN PRIVATE KEY-----\nabc\nd", "[redacted: private key]"},
		"PublicKey":      {"-----BEGIN PUBLIC KEY-----\nabc", "-----BEGIN PUBLIC KEY-----\nabc"},
		"EMail":          {"write to jane.doe+x@mail.example.org.", "write to [redacted: e-mail]."},
		"EMailIDN":       {"jürgen@müller.de", "[redacted: e-mail]"},
		"At":             {"meet @ noon, a@b", "meet @ noon, a@b"},
		"UserInfo":       {"postgres://app:pw@db/x", "postgres://[redacted: credential]@db/x"},
		"Card":           {"4111111111111111.", "[redacted: card number]."},
		"CardInGroups":   {"4111 1111 1111 1111 or 4111-1111-1111-1111", "[redacted: card number] or [redacted: card number]"},
		"CardAmongOther": {"12 4111 1111 1111 1111 99", "12 [redacted: card number] 99"},
		"Amex":           {"3782 822463 10005", "[redacted: card number]"},
		"WrongCheck":     {"4111111111111112", "4111111111111112"},
		"Milliseconds":   {"1764357300000 1764357300007", "1764357300000 1764357300007"},
		"Own":            {"ticket ABC-123 by bob", "ticket [redacted: ticket] by bob"},
		"Known":          {"the key is tr0ub4dor.", "the key is [redacted: credential]."},
		"KnownTooShort":  {"abc", "abc"},
		"Overlap":        {"password=sk-abcdefgh0123@mail.test", "password=[redacted: key]"},
		"NotUTF8":        {"a\xffb", "a\uFFFDb"},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := newRedactor(1000, []Pattern{{"ticket", `\b[A-Z]{3}-\d+\b`}})
			if err != nil {
				t.Fatal(err)
			}
			if got := r.text(c.in, len(c.in), []string{"tr0ub4dor", "abc"}); got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

// A secret that begins within the bound is known by its whole length, and of
// one that is cut off nothing is told.
func TestRedact_Bounds(t *testing.T) {
	const key = "sk-abcdefghijklmnop0123456789"
	r, err := newRedactor(100, nil)
	if err != nil {
		t.Fatal(err)
	}
	for at := range 120 {
		in := strings.Repeat("a ", 60)[:at] + " " + key + strings.Repeat(" b", 4000)
		if got := r.text(in, len(in), nil); strings.Contains(got, "sk-") {
			t.Fatalf("at %d: %q", at, got)
		}
		kept := in[:at+1+9] // a stream of which no more could be kept
		if got := r.text(kept, len(in), nil); strings.Contains(got, "sk-") {
			t.Fatalf("cut at %d: %q", at, got)
		}
	}
	if got, want := r.text(strings.Repeat("ü", 60), 120, nil), strings.Repeat("ü", 50)+"… [20 bytes more]"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestNew_SaysWhatIsWrongWithAPattern(t *testing.T) {
	for name, c := range map[string]struct {
		patterns []Pattern
		ok       bool
	}{
		"Fine":    {[]Pattern{{"a", `\d+`}}, true},
		"NoRE2":   {[]Pattern{{"a", `(?=x)`}}, false},
		"Empty":   {[]Pattern{{"a", `x*`}}, false},
		"TooLong": {[]Pattern{{"a", strings.Repeat("x", MaxPattern+1)}}, false},
		"TooMany": {make([]Pattern, MaxPatterns+1), false},
	} {
		if _, err := New(Options{Patterns: c.patterns}); (err == nil) != c.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func BenchmarkRedact(b *testing.B) {
	r, err := newRedactor(DefaultMaxText, nil)
	if err != nil {
		b.Fatal(err)
	}
	text := strings.Repeat("What does a gateway do, and for whom? ", 108)
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		r.text(text, len(text), nil)
	}
}

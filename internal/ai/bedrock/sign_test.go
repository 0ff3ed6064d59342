package bedrock

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/google/go-cmp/cmp"

	"github.com/citoroute/citoroute/internal/ai/chat"
)

func signingNow() Signing {
	return Signing{
		Credentials: aws.Credentials{AccessKeyID: "AKID", SecretAccessKey: "wrong"},
		Region:      "eu-central-1", Host: "bedrock-runtime.eu-central-1.amazonaws.com",
		Path:   "/model/anthropic.claude-sonnet-4-5-20250929-v1%3A0/converse",
		Header: []chat.Field{{Name: "content-type", Value: "application/json"}},
		Body:   []byte(strings.Repeat("What does a gateway do? ", 42)),
		Time:   time.Date(2026, 11, 28, 23, 59, 59, 0, time.UTC),
	}
}

// A signer that was used before signs as a new one does: nothing of a request
// before is left, whatever has changed since.
func TestSigner_KeepsNothingThatHasChanged(t *testing.T) {
	var used Signer
	for _, change := range []struct {
		name string
		make func(*Signing)
	}{
		{"Nothing", func(*Signing) {}},
		{"Again", func(*Signing) {}},
		{"CorrectedSecret", func(s *Signing) { s.Credentials.SecretAccessKey = "right" }},
		{"NextDay", func(s *Signing) { s.Time = s.Time.Add(time.Second) }},
		{"Region", func(s *Signing) { s.Region = "us-east-1" }},
		{"Key", func(s *Signing) { s.Credentials.AccessKeyID = "ASIA" }},
		{"Session", func(s *Signing) { s.Credentials.SessionToken = "token" }},
		{"Back", func(*Signing) {}},
	} {
		s := signingNow()
		change.make(&s)
		want, err := new(Signer).Sign(t.Context(), s)
		if err != nil {
			t.Fatal(err)
		}
		got, err := used.Sign(t.Context(), s)
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%s: %v, -new +used:\n%s", change.name, err, diff)
		}
	}
}

func BenchmarkSign(b *testing.B) {
	s := signingNow()
	var used Signer
	b.ReportAllocs()
	for b.Loop() {
		if _, err := used.Sign(b.Context(), s); err != nil {
			b.Fatal(err)
		}
	}
}

func TestSigner_RemembersOnlySoMany(t *testing.T) {
	var used Signer
	for i := range 3 * maxKeys {
		s := signingNow()
		s.Credentials.SecretAccessKey = strconv.Itoa(i)
		if _, err := used.Sign(t.Context(), s); err != nil || len(used.byKeys) > maxKeys {
			t.Fatalf("%v, with %d remembered", err, len(used.byKeys))
		}
	}
}

// A signature is made anew only where the clocks are why it was refused.
func TestClockSkew(t *testing.T) {
	signed := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	for name, test := range map[string]struct {
		errorType, date string
		skew            time.Duration // 0: it is not why
	}{
		"Ahead":       {"InvalidSignatureException", "Sat, 28 Nov 2026 12:10:00 GMT", 10 * time.Minute},
		"Behind":      {"RequestExpired:http://internal.amazon.com/coral/", "Sat, 28 Nov 2026 10:00:00 GMT", -2 * time.Hour},
		"Same":        {"InvalidSignatureException", "Sat, 28 Nov 2026 12:00:01 GMT", 0},
		"AlmostFar":   {"InvalidSignatureException", "Sat, 28 Nov 2026 12:03:59 GMT", 0},
		"JustFar":     {"InvalidSignatureException", "Sat, 28 Nov 2026 12:04:00 GMT", 4 * time.Minute},
		"OtherReason": {"AccessDeniedException", "Sat, 28 Nov 2026 12:10:00 GMT", 0},
		"NoDate":      {"InvalidSignatureException", "", 0},
	} {
		t.Run(name, func(t *testing.T) {
			if skew, ok := ClockSkew(test.errorType, test.date, signed); ok != (test.skew != 0) || ok && skew != test.skew {
				t.Errorf("got %v, %v", skew, ok)
			}
		})
	}
}

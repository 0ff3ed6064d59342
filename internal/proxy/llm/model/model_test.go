package model

import "testing"

func TestMatch(t *testing.T) {
	for _, test := range []struct {
		pattern, name string
		want          bool
	}{
		{"gpt-4o", "gpt-4o", true},
		{"gpt-4o", "gpt-4o-mini", false},
		{"gpt-4o", "GPT-4o", false},
		{"gpt-4o*", "gpt-4o", true},
		{"gpt-4o*", "gpt-4o-mini", true},
		{"gpt-4o*", "gpt-4", false},
		{"*", "", true},
		{"*", "anything/at:all", true},
		{"*claude-sonnet*", "us.anthropic.claude-sonnet-4-20250514-v1:0", true},
		{"arn:*/us.amazon.*", "arn:aws:bedrock:us-east-1:1:inference-profile/us.amazon.nova-lite-v1:0", true},
		{"a*a", "a", false},
		{"a*b*c", "a-b-b-c", true},
		{"a*b*c", "a-c-b", false},
		{"a**b", "ab", true},
		{"", "", true},
		{"", "x", false},
	} {
		if got := Match(test.pattern, test.name); got != test.want {
			t.Errorf("Match(%q, %q) = %v", test.pattern, test.name, got)
		}
	}
}

func TestSpecific(t *testing.T) {
	order := []string{"gpt-4o-mini", "gpt-4o-mini*", "gpt-4o*", "gpt-*", "*"}
	for i := 1; i < len(order); i++ {
		if Specific(order[i-1]) <= Specific(order[i]) {
			t.Errorf("%q is not more specific than %q", order[i-1], order[i])
		}
	}
}

func FuzzMatch(f *testing.F) {
	f.Add("a*b", "axb", "*")
	f.Fuzz(func(t *testing.T, a, b, c string) {
		if !Match("*", a) || !Match(a+"*", a+b) || !Match("*"+b, a+b) {
			t.Errorf("a wildcard does not fit: %q %q", a, b)
		}
		Match(a, c)
	})
}

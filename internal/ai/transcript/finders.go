package transcript

import (
	"regexp"
	"strings"
)

// Secrets that are told by their form.
var (
	dataURI    = regexp.MustCompile(`(?i)\bdata:[a-z0-9.+-]*/?[a-z0-9.+-]*(?:;[a-z0-9=.+-]+)*,[a-z0-9+/=%_.~-]+`)
	privateKey = regexp.MustCompile(`-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----(?s:.*?)(?:-----END [A-Z0-9 ]*PRIVATE KEY-----|\z)`)
	webToken   = regexp.MustCompile(`\beyJ[A-Za-z0-9_-]{4,}\.[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]*)*`)
	bearer     = regexp.MustCompile(`(?i)\bbearer\s+([a-z0-9._~+/-]{16,}=*)`)
	userInfo   = regexp.MustCompile(`://([^\s/@"']+)@`)
	email      = regexp.MustCompile(`[\pL\pN._%+-]+@[\pL\pN.-]+\.\pL{2,}`)
)

// finders are those that every text is searched by.
func finders() []finder {
	return []finder{
		{"binary", having("data:", matches(dataURI))},
		{"binary", encoded},
		{"private key", having("private key", matches(privateKey))},
		{"token", having("eyj", matches(webToken))},
		{"token", having("bearer", group(bearer))},
		{"key", serviceKeys},
		{"credential", having("://", group(userInfo))},
		{"credential", assigned},
		{"e-mail", having("@", matches(email))},
		{"card number", cards},
	}
}

// having finds only in texts that have mark in them, in any case, which is
// quickly known.
func having(mark string, find func(string) []span) func(string) []span {
	return func(text string) []span {
		if !strings.Contains(strings.ToLower(text), mark) {
			return nil
		}
		return find(text)
	}
}

// matches finds what an expression matches.
func matches(re *regexp.Regexp) func(string) []span { return submatch(re, 0) }

// group finds what the first group of an expression matches.
func group(re *regexp.Regexp) func(string) []span { return submatch(re, 1) }

func submatch(re *regexp.Regexp, group int) func(string) []span {
	return func(text string) (out []span) {
		for _, m := range re.FindAllStringSubmatchIndex(text, -1) {
			if s := (span{m[2*group], m[2*group+1]}); s.start < s.end {
				out = append(out, s)
			}
		}
		return out
	}
}

// minEncoded is how long base64 is at least to be taken for binary data: no
// word, path or hash is so long.
const minEncoded = 256

// encoded finds base64.
func encoded(text string) (out []span) {
	begin := 0
	for i := 0; i <= len(text); i++ {
		if i < len(text) && isBase64(text[i]) {
			continue
		}
		if i-begin >= minEncoded {
			out = append(out, span{begin, i})
		}
		begin = i + 1
	}
	return out
}

func isBase64(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || isDigit(c) || c == '+' || c == '/' || c == '=' || c == '_' || c == '-'
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// keyPrefixes are how the keys of providers and services begin, and how many
// letters, digits, hyphens and underscores follow at least.
var keyPrefixes = []struct {
	text string
	rest int
}{
	{"sk-", 8}, {"sk_live_", 10}, {"sk_test_", 10}, {"rk_live_", 10}, {"rk_test_", 10}, // OpenAI, Anthropic, Stripe
	{"AKIA", 12}, {"ASIA", 12}, {"ABSK", 20}, // AWS
	{"ghp_", 20}, {"gho_", 20}, {"ghu_", 20}, {"ghs_", 20}, {"ghr_", 20}, {"github_pat_", 20}, {"glpat-", 16}, // GitHub, GitLab
	{"xoxb-", 10}, {"xoxp-", 10}, {"xoxa-", 10}, {"xoxe-", 10}, {"xoxr-", 10}, {"xoxs-", 10}, // Slack
	{"AIza", 30}, {"hf_", 20}, {"npm_", 20}, // Google, Hugging Face, npm
}

// serviceKeys finds keys that tell by their first letters what they are.
func serviceKeys(text string) (out []span) {
	for _, prefix := range keyPrefixes {
		for at := 0; ; {
			i := strings.Index(text[at:], prefix.text)
			if i < 0 {
				break
			}
			start := at + i
			at = start + len(prefix.text)
			if start > 0 && isWord(text[start-1]) {
				continue
			}
			rest := at
			for at < len(text) && (isWord(text[at]) || text[at] == '-') {
				at++
			}
			if at-rest >= prefix.rest {
				out = append(out, span{start, at})
			}
		}
	}
	return out
}

func isWord(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || isDigit(c) || c == '_'
}

// secretNames are in the names of what is secret, whatever it looks like.
var secretNames = []string{
	"authorization", "api_key", "api-key", "apikey", "access_key", "access-key", "accesskey", "secret", "passwd", "password", "passphrase",
	"access_token", "auth_token", "refresh_token", "session_token", "security_token", "id_token",
	"access-token", "auth-token", "refresh-token", "session-token", "security-token", "id-token",
	"accesstoken", "authtoken", "refreshtoken", "sessiontoken", "idtoken",
}

// assignedValue is what stands behind a colon or an equals sign: a text in
// quotes, or up to white space.
var assignedValue = regexp.MustCompile(`^[ \t]*((?i:bearer|basic)\s+[^\s"'\\,;]+|\\*"[^"\\]+|\\*'[^'\\]+|[^\s"'\\,;&}]+)`)

// assigned finds values that are said to be secret by the name before them.
func assigned(text string) (out []span) {
	for i := range len(text) {
		if text[i] != ':' && text[i] != '=' || !endsInSecretName(text[:i]) {
			continue
		}
		if m := assignedValue.FindStringSubmatchIndex(text[i+1:]); m != nil {
			out = append(out, span{i + 1 + m[2], i + 1 + m[3]})
		}
	}
	return out
}

// maxSecretName is how far a name is looked for before its value, in bytes.
const maxSecretName = 64

func endsInSecretName(text string) bool {
	text = strings.TrimRight(text[max(len(text)-maxSecretName, 0):], " \t\\\"'")
	begin := len(text)
	for begin > 0 && (isWord(text[begin-1]) || text[begin-1] == '-') {
		begin--
	}
	name := strings.ToLower(text[begin:])
	for _, secret := range secretNames {
		if strings.Contains(name, secret) {
			return true
		}
	}
	return false
}

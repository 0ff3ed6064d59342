package h1

// Classes of bytes, combined as bits in charClass.
const (
	classToken  uint8 = 1 << iota // tchar, RFC 9110 section 5.6.2
	classValue                    // field-value: HTAB, SP to ~, obs-text
	classTarget                   // what a request target may hold as it is
	classHex
)

// charClass is a constant table.
var charClass = func() (t [256]uint8) {
	const alnum = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
	for _, c := range []byte(alnum + "!#$%&'*+-.^_`|~") {
		t[c] |= classToken
	}
	for _, c := range []byte("0123456789abcdefABCDEF") {
		t[c] |= classHex
	}
	for c := range 256 {
		if c == '\t' || c >= ' ' && c != 0x7f {
			t[c] |= classValue
		}
		if c > ' ' && c < 0x7f && c != '#' {
			t[c] |= classTarget
		}
	}
	return t
}()

func isToken(s string) bool {
	for i := range len(s) {
		if charClass[s[i]]&classToken == 0 {
			return false
		}
	}
	return s != ""
}

// trimOWS removes optional whitespace, which is SP and HTAB and nothing else.
func trimOWS(s string) string {
	for s != "" && (s[0] == ' ' || s[0] == '\t') {
		s = s[1:]
	}
	for s != "" && (s[len(s)-1] == ' ' || s[len(s)-1] == '\t') {
		s = s[:len(s)-1]
	}
	return s
}

// parseLength reads a Content-Length: decimal digits, no sign, no leading zero
// (a backend could take it for octal), at most 18 so that nothing overflows.
func parseLength(s string) (n int64, ok bool) {
	if s == "" || len(s) > 18 || s[0] == '0' && len(s) > 1 {
		return 0, false
	}
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
		n = n*10 + int64(s[i]-'0')
	}
	return n, true
}

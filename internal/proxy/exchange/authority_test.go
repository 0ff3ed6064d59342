package exchange

import (
	"net/url"
	"strings"
	"testing"
)

func TestParseAuthority(t *testing.T) {
	for name, test := range map[string]struct {
		in, want string // want "": refused
	}{
		"Name":         {"a.test", "a.test"},
		"NameAndPort":  {"A_b.test:8080", "A_b.test:8080"},
		"LastPort":     {"a:65535", "a:65535"},
		"EmptyPort":    {"a:", "a"},
		"IPv4":         {"10.0.0.1:80", "10.0.0.1:80"},
		"IPv6":         {"[::1]", "[::1]"},
		"IPv6AndPort":  {"[2001:db8::1]:443", "[2001:db8::1]:443"},
		"IPv6NoPort":   {"[::1]:", "[::1]"},
		"Empty":        {"", ""},
		"OnlyPort":     {":80", ""},
		"PortZero":     {"a:0", ""},
		"PortTooHigh":  {"a:65536", ""},
		"PortOverflow": {"a:18446744073709551696", ""},
		"PortSign":     {"a:+80", ""},
		"PortName":     {"a:http", ""},
		"TwoPorts":     {"a:80:80", ""},
		"Userinfo":     {"u@a", ""},
		"Escape":       {"a%2e", ""},
		"Space":        {"a b", ""},
		"Comma":        {"a,b", ""},
		"Path":         {"a/b", ""},
		"Foreign":      {"ä", ""},
		"BareIPv6":     {"::1", ""},
		"Zone":         {"[fe80::1%25eth0]", ""},
		"RawZone":      {"[fe80::1%eth0]", ""},
		"IPv4InBraces": {"[10.0.0.1]", ""},
		"Unclosed":     {"[::1", ""},
		"Behind":       {"[::1]a", ""},
	} {
		t.Run(name, func(t *testing.T) {
			if got, ok := ParseAuthority(test.in); ok != (test.want != "") || ok && got != test.want {
				t.Errorf("%q, %v", got, ok)
			}
		})
	}
}

func FuzzParseAuthority(f *testing.F) {
	for _, s := range []string{"a.test:80", "a:", "[::1]:8080", "u@h", "a b", "[fe80::1%eth0]"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, ok := ParseAuthority(s)
		if !ok {
			return
		}
		if strings.ContainsAny(got, " \t\r\n\x00\x7f/\\?#@,%") || strings.TrimSuffix(s, ":") != got {
			t.Errorf("%q passed as %q", s, got)
		}
		if again, ok := ParseAuthority(got); !ok || again != got {
			t.Errorf("%q is read as %q again, %v", got, again, ok)
		}
		if u, err := url.Parse("http://" + got + "/"); err != nil || u.Host != got {
			t.Errorf("%q is read by net/url as %v, %v", got, u, err)
		}
	})
}

package translate

import (
	"strings"
	"testing"
)

func TestIntersectHosts(t *testing.T) {
	for name, c := range map[string]struct {
		a, b, want string
		none       bool
	}{
		"Same":                    {a: "a.test", b: "a.test", want: "a.test"},
		"Any":                     {a: "", b: "a.test", want: "a.test"},
		"AnyAny":                  {a: "", b: "", want: ""},
		"Different":               {a: "a.test", b: "b.test", none: true},
		"WildcardExact":           {a: "*.a.test", b: "x.a.test", want: "x.a.test"},
		"WildcardManyLabels":      {a: "*.a.test", b: "x.y.a.test", want: "x.y.a.test"},
		"WildcardNotItsSuffix":    {a: "*.a.test", b: "a.test", none: true},
		"WildcardNotPartOfALabel": {a: "*.a.test", b: "xa.test", none: true},
		"WildcardWildcard":        {a: "*.test", b: "*.a.test", want: "*.a.test"},
		"WildcardsApart":          {a: "*.a.test", b: "*.b.test", none: true},
	} {
		t.Run(name, func(t *testing.T) {
			for _, pair := range [][2]string{{c.a, c.b}, {c.b, c.a}} {
				got, ok := intersectHosts(pair[0], pair[1])
				if ok == c.none || got != c.want {
					t.Errorf("intersectHosts(%q, %q) = %q, %v; want %q, %v", pair[0], pair[1], got, ok, c.want, !c.none)
				}
			}
		})
	}
}

func TestNormalizeHost(t *testing.T) {
	for host, want := range map[string]bool{
		"a.test": true, "A.TEST": true, "*.a.test": true, "localhost": true,
		"": false, "*": false, "10.0.0.1": false, "::1": false, "a..test": false, "a.*.test": false, "a_b.test": false, "a.test.": false,
	} {
		t.Run(host, func(t *testing.T) {
			got, ok := normalizeHost(host)
			if ok != want || got != strings.ToLower(host) {
				t.Errorf("got %q, %v; want %v", got, ok, want)
			}
		})
	}
}

func TestParseServicePort_IsTheInverse(t *testing.T) {
	for _, want := range []servicePort{
		{service: Key{KindService, "ns", "a"}, port: 80},
		{service: Key{KindService, "ns", "a"}, port: 80, h2c: true},
	} {
		if got, ok := parseServicePort(want.backend()); !ok || got != want {
			t.Errorf("%s: got %v, %v", want.backend(), got, ok)
		}
	}
	for _, name := range []string{"", "service/", "service/a", "service/a/b", "service/a/b:x", "service/a/b:99999999999", "llm/a/b"} {
		if got, ok := parseServicePort(name); ok {
			t.Errorf("%q: got %v", name, got)
		}
	}
}

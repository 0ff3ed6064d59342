package rewrite

import (
	"strings"
	"testing"

	"github.com/citoroute/citoroute/internal/ir"
	"github.com/citoroute/citoroute/internal/proxy/exchange"
	"github.com/citoroute/citoroute/internal/proxy/filter/scratch"
)

// The table of HTTPPathModifier in Gateway API, and what it leaves out. prefix
// is as the router gives it, without a trailing slash.
func TestPath_Prefix(t *testing.T) {
	for _, test := range []struct{ path, prefix, replacement, want string }{
		{"/foo/bar", "/foo", "/xyz", "/xyz/bar"},
		{"/foo/bar", "/foo", "/xyz/", "/xyz/bar"},
		{"/foo", "/foo", "/xyz", "/xyz"},
		{"/foo/", "/foo", "/xyz", "/xyz/"},
		{"/foo/bar", "/foo", "", "/bar"},
		{"/foo/", "/foo", "", "/"},
		{"/foo", "/foo", "", "/"},
		{"/foo/", "/foo", "/", "/"},
		{"/foo", "/foo", "/", "/"},
		{"/bar", "", "/xyz", "/xyz/bar"},
		{"/", "", "/xyz", "/xyz/"},
		{"/foo/bar", "/foo", "xyz", "/xyz/bar"},
		{"/foo/evil.com", "/foo", "//", "/evil.com"},
		{"/foo/b", "/foo", "//evil.com", "/evil.com/b"},
		{"/foo/b", "/foo", "/a b?c#d\r\n", "/a%20b%3Fc%23d%0D%0A/b"},
	} {
		p, err := NewPath(ir.PathRewrite{Prefix: &test.replacement})
		if err != nil {
			t.Fatal(err)
		}
		var s scratch.Buffer
		if got := p.Apply(test.path, test.prefix, &s); got != test.want {
			t.Errorf("%s with %s replaced by %q: %s, want %s", test.path, test.prefix, test.replacement, got, test.want)
		}
	}
}

func TestPath_Full(t *testing.T) {
	for in, want := range map[string]string{"/x/y": "/x/y", "": "/", "x": "/x", "//x": "/x", "/é\n": "/%C3%A9%0A"} {
		p, err := NewPath(ir.PathRewrite{Full: &in})
		if err != nil {
			t.Fatal(err)
		}
		if got := p.Apply("/a/b", "/a", nil); got != want {
			t.Errorf("%q: %s, want %s", in, got, want)
		}
	}
}

func TestNew_RefusesHalfARewrite(t *testing.T) {
	s := "/"
	for name, cfg := range map[string]ir.Rewrite{
		"Neither": {Path: &ir.PathRewrite{}},
		"Both":    {Path: &ir.PathRewrite{Full: &s, Prefix: &s}},
		"Host":    {Hostname: "a\r\nb"},
		"HostURL": {Hostname: "a/b"},
	} {
		if _, err := New(cfg); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestApply_ChangesHostAndPathOnly(t *testing.T) {
	prefix := "/x"
	f, err := New(ir.Rewrite{Hostname: "b.example", Path: &ir.PathRewrite{Prefix: &prefix}})
	if err != nil {
		t.Fatal(err)
	}
	req := exchange.Request{Authority: "a.example:80", Path: "/a/b", Query: "q=1", HasQuery: true}
	var s scratch.Buffer
	f.Apply(&req, "/a", &s)
	if req.Authority != "b.example" || req.Path != "/x/b" || req.Query != "q=1" || !req.HasQuery {
		t.Errorf("%+v", req)
	}
}

// Whatever is configured and asked, the result is one clean path.
func FuzzPath(f *testing.F) {
	f.Add("/foo/bar", "/xyz/")
	f.Add("/foo", "//\r\nx")
	f.Fuzz(func(t *testing.T, path, replacement string) {
		p, err := NewPath(ir.PathRewrite{Prefix: &replacement})
		if err != nil {
			t.Fatal(err)
		}
		path = "/" + strings.TrimLeft(path, "/")
		var s scratch.Buffer
		got := p.Apply(EscapePath(path), "", &s)
		if !strings.HasPrefix(got, "/") || strings.HasPrefix(got, "//") {
			t.Errorf("%q: not exactly one leading slash", got)
		}
		if strings.ContainsFunc(got, func(r rune) bool { return r <= ' ' || r >= 0x7f || r == '?' || r == '#' || r == '\\' }) {
			t.Errorf("%q: holds what no path may", got)
		}
	})
}

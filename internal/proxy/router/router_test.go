package router

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/citoroute/citoroute/internal/ir"
	"github.com/citoroute/citoroute/internal/proxy/exchange"
)

func tableOf(tb testing.TB, routes ...*ir.Route) *Table[string] {
	tb.Helper()
	edit := (&Table[string]{}).Edit()
	for _, r := range routes {
		c, err := Compile(r, func(i int) string { return fmt.Sprint(r.Name, "#", i) })
		if err != nil {
			tb.Fatal(err)
		}
		edit.Add(c)
	}
	return edit.Done()
}

func valueOf(l *Leaf[string]) string {
	if l == nil {
		return ""
	}
	return l.Value
}

func TestMatch_HostIsComparedAsNamesAre(t *testing.T) {
	table := tableOf(t,
		&ir.Route{Name: "exact", Hostnames: []string{"a.example.com"}, Rules: []ir.Rule{{}}},
		&ir.Route{Name: "wild", Hostnames: []string{"*.example.com"}, Rules: []ir.Rule{{}}},
		&ir.Route{Name: "v6", Hostnames: []string{"[::1]"}, Rules: []ir.Rule{{}}},
	)
	for host, want := range map[string]string{
		"a.example.com": "exact#0", "A.Example.COM": "exact#0", "a.example.com.": "exact#0",
		"a.example.com:8080": "exact#0", "a.example.com.:80": "exact#0", "b.example.com": "wild#0",
		"c.b.example.com": "wild#0", "example.com": "", "notexample.com": "", "": "", ".example.com": "",
		"[::1]:80": "v6#0", "[::1]": "v6#0",
	} {
		if got := valueOf(table.Match(&exchange.Request{Authority: host, Path: "/"})); got != want {
			t.Errorf("host %q: %q, want %q", host, got, want)
		}
	}
}

func TestMatch_PathPrefixIsBySegments(t *testing.T) {
	table := tableOf(t, &ir.Route{Name: "r", Rules: []ir.Rule{
		{Matches: []ir.Match{{Path: ir.PathMatch{Type: ir.MatchPrefix, Value: "/foo"}}}},
		{Matches: []ir.Match{{Path: ir.PathMatch{Type: ir.MatchPrefix, Value: "/foo/bar/"}}}},
		{Matches: []ir.Match{{Path: ir.PathMatch{Type: ir.MatchExact, Value: "/foo/x"}}}},
	}})
	for path, want := range map[string]string{
		"/foo": "r#0", "/foo/": "r#0", "/foo/y/z": "r#0", "/foobar": "", "/": "", "/foo%2Fbar": "",
		"/foo/bar": "r#1", "/foo/bar/": "r#1", "/foo/bar/z": "r#1", "/foo/barz": "r#0",
		"/foo/x": "r#2", "/foo/x/": "r#0", "*": "",
		"/foo/" + strings.Repeat("y/", 5000): "r#0",
	} {
		if got := valueOf(table.Match(&exchange.Request{Path: path})); got != want {
			t.Errorf("path %.40q: %q, want %q", path, got, want)
		}
	}
}

func TestMatch_HeaderSeesRepeatedFields(t *testing.T) {
	table := tableOf(t, &ir.Route{Name: "r", Rules: []ir.Rule{
		{Matches: []ir.Match{{Headers: []ir.ValueMatch{{Name: "X-Role", Type: ir.MatchExact, Value: "user"}}}}},
		{Matches: []ir.Match{{Headers: []ir.ValueMatch{{Name: "x-role", Type: ir.MatchExact, Value: "user,admin"}}}}},
		{Matches: []ir.Match{{Headers: []ir.ValueMatch{{Name: "Host", Type: ir.MatchRegex, Value: `a\..*`}}}}},
	}})
	for name, test := range map[string]struct {
		values []string
		want   string
	}{
		"One":        {[]string{"user"}, "r#0"},
		"TwoLines":   {[]string{"user", "admin"}, "r#1"},
		"OneLine":    {[]string{"user,admin"}, "r#1"},
		"OtherOrder": {[]string{"admin", "user"}, "r#2"},
		"HostOnly":   {nil, "r#2"},
	} {
		t.Run(name, func(t *testing.T) {
			req := &exchange.Request{Authority: "a.example", Path: "/"}
			for _, v := range test.values {
				req.Header.Add("x-Role", v)
			}
			if got := valueOf(table.Match(req)); got != test.want {
				t.Errorf("%q, want %q", got, test.want)
			}
		})
	}
}

func TestMatch_QueryIsTheFirstOfItsName(t *testing.T) {
	table := tableOf(t, &ir.Route{Name: "r", Rules: []ir.Rule{
		{Matches: []ir.Match{{Query: []ir.ValueMatch{{Name: "role", Type: ir.MatchExact, Value: "a b"}}}}},
	}})
	for query, want := range map[string]string{
		"role=a+b": "r#0", "role=a%20b&role=x": "r#0", "role=x&role=a+b": "", "ro%6ce=a b": "r#0",
		"x=%zz&role=a+b": "r#0", "role=%zz": "", "x;role=a+b": "", "": "", "role": "",
		strings.Repeat("z=1&", 10000) + "role=a+b": "r#0",
	} {
		if got := valueOf(table.Match(&exchange.Request{Path: "/", Query: query})); got != want {
			t.Errorf("query %.40q: %q, want %q", query, got, want)
		}
	}
}

func TestCleanPath(t *testing.T) {
	for in, want := range map[string]string{
		"/": "/", "/a/b": "/a/b", "//a": "/a", "/a//": "/a/", "/%61dmin": "/admin", "/a%2fb": "/a%2Fb",
		"/a%5Cb": "/a%5Cb", "/a%20b": "/a%20b", "/a;x=1": "/a;x=1", "/.well-known/x": "/.well-known/x",
		"/a/..b": "/a/..b", "/%C0%AE": "/%C0%AE", "/%252e": "/%252e", "*": "*", `/a\`: `/a\`,
		"/./a": "", "/a/..": "", "/%2e%2e/a": "", "/x/%2E./a": "", "/a/%2e": "", "/..;/a": "", "/a/..;x/b": "",
		"/a/..%2fb": "", "/a%2F%2e%2Fb": "", "/a%5c..": "", "/a/..%5Cb": "", "/a%2F..b": "/a%2F..b", "/a..%2Fb": "/a..%2Fb",
		"/%00": "", "/a\x00": "", "/%zz": "", "/%2": "", "/%": "",
	} {
		got, err := CleanPath(in)
		if (err != nil) != (want == "") || err == nil && got != want {
			t.Errorf("%q: %q, %v; want %q", in, got, err, want)
		}
		if err != nil && !errors.Is(err, ErrPath) {
			t.Errorf("%q: %v is not ErrPath", in, err)
		}
	}
}

func FuzzCleanPath(f *testing.F) {
	for _, s := range []string{"/a//b", "/%61", "/%2e%2e", "/a;b", "/%2F%5c%zz"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, in string) {
		once, err := CleanPath("/" + in)
		if err != nil {
			return
		}
		if twice, err := CleanPath(once); err != nil || twice != once {
			t.Errorf("%q: cleaned to %q, then to %q (%v)", in, once, twice, err)
		}
		if strings.Contains(once, "//") || strings.Contains(once+"/", "/../") {
			t.Errorf("%q: cleaned to %q", in, once)
		}
	})
}

func TestCompile_NamesWhatIsWrong(t *testing.T) {
	for name, m := range map[string]ir.Match{
		"PathRegex":   {Path: ir.PathMatch{Type: ir.MatchRegex, Value: "("}},
		"Unbalanced":  {Path: ir.PathMatch{Type: ir.MatchRegex, Value: "a)|(b"}},
		"LongRegex":   {Path: ir.PathMatch{Type: ir.MatchRegex, Value: strings.Repeat("a", 5000)}},
		"PathType":    {Path: ir.PathMatch{Type: "glob", Value: "/"}},
		"NoSlash":     {Path: ir.PathMatch{Type: ir.MatchExact, Value: "a"}},
		"DotSegment":  {Path: ir.PathMatch{Type: ir.MatchPrefix, Value: "/a/../b"}},
		"HeaderRegex": {Headers: []ir.ValueMatch{{Name: "x", Type: ir.MatchRegex, Value: "["}}},
		"QueryType":   {Query: []ir.ValueMatch{{Name: "x", Type: "prefix"}}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Compile(&ir.Route{Rules: []ir.Rule{{}, {Matches: []ir.Match{m}}}}, func(int) string { return "" })
			if err == nil || !strings.HasPrefix(err.Error(), "rule 1: match 0: ") {
				t.Errorf("error %v", err)
			}
		})
	}
}

func TestMatch_AllocatesNothing(t *testing.T) {
	table, req := oneHost(t, 1000)
	if n := testing.AllocsPerRun(100, func() { table.Match(req) }); n != 0 {
		t.Errorf("%v allocations per lookup", n)
	}
}

// oneHost is n routes of one host with a prefix each, and a request for the last.
func oneHost(tb testing.TB, n int) (*Table[string], *exchange.Request) {
	tb.Helper()
	edit := (&Table[string]{}).Edit()
	for i := range n {
		edit.Add(mustCompile(tb, nth(i)))
	}
	return edit.Done(), &exchange.Request{
		Method: "GET", Authority: "app.example.com", Path: fmt.Sprintf("/team/service-%05d/v1/items/42", n-1),
	}
}

func nth(i int) *ir.Route {
	return &ir.Route{
		Name: fmt.Sprint("r", i), Hostnames: []string{"app.example.com"},
		Rules: []ir.Rule{{Matches: []ir.Match{{Path: ir.PathMatch{Type: ir.MatchPrefix, Value: fmt.Sprintf("/team/service-%05d", i)}}}}},
	}
}

func mustCompile(tb testing.TB, r *ir.Route) *Route[string] {
	tb.Helper()
	c, err := Compile(r, func(int) string { return r.Name })
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

func BenchmarkMatch(b *testing.B) {
	for name, n := range map[string]int{"10_routes": 10, "10k_routes": 10_000, "100k_routes": 100_000} {
		b.Run(name, func(b *testing.B) {
			table, req := oneHost(b, n)
			if table.Match(req) == nil {
				b.Fatal("nothing found")
			}
			b.ReportAllocs()
			for b.Loop() {
				table.Match(req)
			}
		})
	}
	b.Run("10k_hosts", func(b *testing.B) {
		edit := (&Table[string]{}).Edit()
		for i := range 10_000 {
			edit.Add(mustCompile(b, &ir.Route{Hostnames: []string{fmt.Sprintf("h%d.example.com", i)}, Rules: []ir.Rule{{}}}))
		}
		table, req := edit.Done(), &exchange.Request{Authority: "h9999.example.com:8080", Path: "/a/b"}
		b.ReportAllocs()
		for b.Loop() {
			table.Match(req)
		}
	})
}

func BenchmarkEdit_OneOf10kRoutesOfOneHost(b *testing.B) {
	table, _ := oneHost(b, 10_000)
	old, next := mustCompile(b, nth(5000)), mustCompile(b, nth(5000))
	b.ReportAllocs()
	for b.Loop() {
		edit := table.Edit()
		edit.Remove(old)
		edit.Add(next)
		table = edit.Done()
		old, next = next, old
	}
}

func BenchmarkEdit_Add10kRoutes(b *testing.B) {
	routes := make([]*Route[string], 10_000)
	for i := range routes {
		routes[i] = mustCompile(b, nth(i))
	}
	b.ReportAllocs()
	for b.Loop() {
		edit := (&Table[string]{}).Edit()
		for _, r := range routes {
			edit.Add(r)
		}
		edit.Done()
	}
}

package redirect

import (
	"strings"
	"testing"

	"github.com/citoroute/citoroute/internal/ir"
	"github.com/citoroute/citoroute/internal/proxy/exchange"
	"github.com/citoroute/citoroute/internal/proxy/filter/scratch"
)

func location(t *testing.T, cfg ir.Redirect, req exchange.Request, prefix string, port uint16) (string, int) {
	t.Helper()
	f, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	var resp exchange.Response
	var s scratch.Buffer
	if !f.Answer(Request{&req, prefix, port}, &resp, &s) {
		return "", 0
	}
	v, _ := resp.Header.Get("Location")
	return strings.Clone(v), resp.Status
}

func TestAnswer(t *testing.T) {
	full, prefix := "/full", "/new"
	for name, test := range map[string]struct {
		cfg    ir.Redirect
		scheme string // http where empty
		host   string // example.org where empty
		target string // /old/x where empty
		port   uint16 // the listener's; 80 where 0
		want   string
	}{
		"Hostname":             {cfg: ir.Redirect{Hostname: "new.example"}, want: "http://new.example/old/x"},
		"Status":               {cfg: ir.Redirect{Status: 301}, want: "http://example.org/old/x"},
		"Status303":            {cfg: ir.Redirect{Status: 303}, want: "http://example.org/old/x"},
		"Status307":            {cfg: ir.Redirect{Status: 307}, want: "http://example.org/old/x"},
		"Status308":            {cfg: ir.Redirect{Status: 308}, want: "http://example.org/old/x"},
		"ListenerPort":         {port: 8080, want: "http://example.org:8080/old/x"},
		"ListenerPortNotHosts": {port: 8080, host: "example.org:9", want: "http://example.org:8080/old/x"},
		"SchemeHasItsPort":     {cfg: ir.Redirect{Scheme: "https"}, port: 8080, want: "https://example.org/old/x"},
		"SchemeHTTPFromHTTPS":  {cfg: ir.Redirect{Scheme: "http"}, scheme: "https", port: 443, want: "http://example.org/old/x"},
		"Port":                 {cfg: ir.Redirect{Port: 8083}, want: "http://example.org:8083/old/x"},
		"Port80":               {cfg: ir.Redirect{Port: 80}, port: 8080, want: "http://example.org/old/x"},
		"Port443WithHTTP":      {cfg: ir.Redirect{Port: 443}, want: "http://example.org:443/old/x"},
		"SchemeAndPort":        {cfg: ir.Redirect{Scheme: "https", Port: 8443}, want: "https://example.org:8443/old/x"},
		"SchemeAndKnownPort":   {cfg: ir.Redirect{Scheme: "https", Port: 443}, want: "https://example.org/old/x"},
		"HTTPSListener443":     {scheme: "https", port: 443, want: "https://example.org/old/x"},
		"FullPath":             {cfg: ir.Redirect{Path: &ir.PathRewrite{Full: &full}}, want: "http://example.org/full"},
		"PrefixPath":           {cfg: ir.Redirect{Path: &ir.PathRewrite{Prefix: &prefix}}, want: "http://example.org/new/x"},
		"QueryIsKept":          {target: "/old/x?a=b", want: "http://example.org/old/x?a=b"},
		"EmptyQueryIsKept":     {target: "/old/x?", want: "http://example.org/old/x?"},
		"IPv6":                 {host: "[2001:db8::1]:80", want: "http://[2001:db8::1]/old/x"},
		"NothingElseOfTheHost": {host: "user@evil.example/", want: ""},
		"NoHost":               {host: "-", want: ""},
		"ControlsInPath":       {target: "/a\r\nSet-Cookie: b", want: "http://example.org/a%0D%0ASet-Cookie:%20b"},
		"ControlsInQuery":      {target: "/?a\r\nb?c", want: "http://example.org/?a%0D%0Ab?c"},
		"AsteriskForm":         {target: "*", want: "http://example.org/"},
	} {
		t.Run(name, func(t *testing.T) {
			req := exchange.Request{Scheme: or(test.scheme, "http"), Authority: or(test.host, "example.org")}
			if test.host == "-" {
				req.Authority = ""
			}
			req.Path, req.Query, req.HasQuery = strings.Cut(or(test.target, "/old/x"), "?")
			port := test.port
			if port == 0 {
				port = 80
			}
			got, status := location(t, test.cfg, req, "/old", port)
			if got != test.want {
				t.Errorf("Location %q, want %q", got, test.want)
			}
			want := test.cfg.Status
			if want == 0 {
				want = 302
			}
			if got != "" && status != want {
				t.Errorf("status %d, want %d", status, want)
			}
		})
	}
}

func or(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

func TestNew_RefusesWhatIsNoRedirect(t *testing.T) {
	for name, cfg := range map[string]ir.Redirect{
		"Status": {Status: 200}, "Scheme": {Scheme: "javascript"}, "Hostname": {Hostname: "a\r\nb"}, "Path": {Path: &ir.PathRewrite{}},
	} {
		if _, err := New(cfg); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

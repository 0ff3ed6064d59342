package cors

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/citoroute/citoroute/internal/ir"
	"github.com/citoroute/citoroute/internal/proxy/exchange"
)

func newFilter(t *testing.T, cfg ir.CORS) *Filter {
	t.Helper()
	f, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func fields(h *exchange.Header) []string {
	var out []string
	for f := range h.All() {
		out = append(out, f.Name+": "+f.Value)
	}
	return out
}

func TestPreflight(t *testing.T) {
	listed := ir.CORS{
		AllowOrigins: []string{"https://www.foo.com", "https://*.bar.com"}, AllowMethods: []string{"GET", "OPTIONS"},
		AllowHeaders: []string{"x-header-1", "x-header-2"}, ExposeHeaders: []string{"x-header-3"}, AllowCredentials: true, MaxAgeSeconds: 3600,
	}
	open := ir.CORS{AllowOrigins: []string{"*"}, AllowMethods: []string{"*"}, AllowHeaders: []string{"*"}, ExposeHeaders: []string{"*"}}
	openCredentials := open
	openCredentials.AllowCredentials = true
	for name, test := range map[string]struct {
		cfg          ir.CORS
		origin, asks string
		want         []string
	}{
		"Listed": {listed, "https://www.foo.com", "GET", []string{
			"Vary: Origin", "Access-Control-Allow-Origin: https://www.foo.com", "Access-Control-Allow-Credentials: true",
			"Access-Control-Expose-Headers: x-header-3", "Access-Control-Allow-Methods: GET, OPTIONS",
			"Access-Control-Allow-Headers: x-header-1, x-header-2", "Access-Control-Max-Age: 3600",
		}},
		"NotListed": {listed, "https://foobar.com", "GET", []string{"Vary: Origin"}},
		"Open": {open, "https://a.example", "PUT", []string{
			"Access-Control-Allow-Origin: *", "Access-Control-Expose-Headers: *", "Access-Control-Allow-Methods: PUT",
			"Access-Control-Allow-Headers: x-h", "Access-Control-Max-Age: 5",
		}},
		"OpenWithCredentialsNeverSaysAny": {openCredentials, "https://a.example", "PUT", []string{
			"Vary: Origin", "Access-Control-Allow-Origin: https://a.example", "Access-Control-Allow-Credentials: true",
			"Access-Control-Allow-Methods: PUT", "Access-Control-Allow-Headers: x-h", "Access-Control-Max-Age: 5",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			req := &exchange.Request{Method: "OPTIONS"}
			req.Header.Add("Origin", test.origin)
			req.Header.Add("access-control-request-method", test.asks)
			req.Header.Add("access-control-request-headers", "x-h")
			var resp exchange.Response
			if !newFilter(t, test.cfg).Preflight(req, &resp) || resp.Status != 204 {
				t.Fatalf("not answered: %d", resp.Status)
			}
			if diff := cmp.Diff(test.want, fields(&resp.Header)); diff != "" {
				t.Errorf("header differs (-want +got):\n%s", diff)
			}
		})
	}
}

func TestPreflight_OnlyOfPreflights(t *testing.T) {
	f := newFilter(t, ir.CORS{AllowOrigins: []string{"*"}})
	for name, req := range map[string]*exchange.Request{"Get": {Method: "GET"}, "PlainOptions": {Method: "OPTIONS"}} {
		if f.Preflight(req, &exchange.Response{}) {
			t.Errorf("%s: answered", name)
		}
	}
}

func TestAllows_IsAnchored(t *testing.T) {
	f := newFilter(t, ir.CORS{AllowOrigins: []string{"https://a.com", "https://*.b.com", "https://*", "http://c.com:8080"}})
	for origin, want := range map[string]bool{
		"https://a.com": true, "https://x.b.com": true, "https://x.y.b.com": true, "https://any.example": true,
		"http://c.com:8080": true, "http://c.com": false, "http://a.com": false, "null": false, "": false,
		"https://a.com:444": false, "https://u@a.com": false, "https://a.com/x": false, "https://": false,
		"http://x.b.com": false, "ftp://x.b.com": false, "xhttps://a.com": false,
	} {
		if got := f.allows(origin); got != want {
			t.Errorf("%q: %v, want %v", origin, got, want)
		}
	}
	strict := newFilter(t, ir.CORS{AllowOrigins: []string{"https://a.com", "https://*.b.com"}})
	for _, origin := range []string{"https://a.com.evil.com", "https://evila.com", "https://evil.com#.b.com", "https://b.com", "https://.b.com.evil", "HTTPS://A.COM", "null"} {
		if strict.allows(origin) {
			t.Errorf("%q is allowed", origin)
		}
	}
}

func TestMark_ReplacesWhatTheBackendSays(t *testing.T) {
	var h exchange.Header
	h.Add("Access-Control-Allow-Origin", "*")
	h.Add("access-control-allow-credentials", "true")
	h.Add("Content-Type", "text/plain")
	newFilter(t, ir.CORS{AllowOrigins: []string{"https://a.com"}}).Mark("https://evil.com", &h)
	if got := strings.Join(fields(&h), "; "); got != "Content-Type: text/plain; Vary: Origin" {
		t.Error(got)
	}
}

func TestNew_RefusesWhatCanNotStandInAHeader(t *testing.T) {
	for name, cfg := range map[string]ir.CORS{
		"Origin": {AllowOrigins: []string{"https://a\r\nb"}}, "TwoStars": {AllowOrigins: []string{"https://*.*"}},
		"Method": {AllowMethods: []string{"GET\n"}}, "Header": {AllowHeaders: []string{"a b"}}, "Expose": {ExposeHeaders: []string{""}},
	} {
		if _, err := New(cfg); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

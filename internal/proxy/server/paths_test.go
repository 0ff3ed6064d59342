package server

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/citoroute/citoroute/internal/ir"
)

// Rows GW-023 to GW-025 of the security catalogue: what a client may write for
// a path that is closed to it. What was matched is what the backend gets, so
// "open" is followed by exactly that; "closed" is the answer of the rule for
// /admin, which no request may pass, and "refused" is 400.
func pathRows() map[string]map[string]string {
	return map[string]map[string]string{
		"GW-023 one form of a path": {
			"/admin": "closed", "/admin/": "closed", "/admin/x": "closed", "//admin": "closed", "/%61dmin": "closed",
			"/%61%64%6D%69%6e": "closed", "/admin?": "closed", "/admin?x=/../": "closed", "///admin//x": "closed",
			"/./admin": "refused", "/x/../admin": "refused", "/%2e%2e/admin": "refused", "/admin/%2e": "refused", "/..;/admin": "refused",
			"/x/%2e%2E;a=b/admin": "refused", "/admin%00": "refused", "/admin#": "refused", `/admin\`: "refused", `/x\..\admin`: "refused",
			"/x/%2e%2e%2fadmin": "refused", "/x%2f..%2Fadmin": "refused", "/x%5c..%5Cadmin": "refused", "/x/..%5cadmin": "refused",
			"/admin%2f": "open /admin%2F", "/admin%5c": "open /admin%5C", "/Admin": "open /Admin", "/admin;x=1": "open /admin;x=1",
			"/admin..;/": "open /admin..;/", "/admin%20": "open /admin%20", "/admin%09": "open /admin%09",
			"/%252e%252e/admin": "open /%252e%252e/admin", "/x/..y%2fadmin": "open /x/..y%2Fadmin",
		},
		"GW-024 a prefix is whole segments": {
			"/adminx": "open /adminx", "/admin/": "closed", "/admin%2fx": "open /admin%2Fx", "/x/admin": "open /x/admin",
		},
		"GW-025 overlong and look-alike": {
			"/%c0%ae%c0%ae/admin": "open /%C0%AE%C0%AE/admin", "/x%c0%afadmin": "open /x%C0%AFadmin",
			"/x\uff0fadmin": "refused", "/%ef%bc%8fadmin": "open /%EF%BC%8Fadmin",
		},
	}
}

// TestPaths_WhatIsMatchedIsForwarded asks in both versions of HTTP for every
// path, with a backend of each.
func TestPaths_WhatIsMatchedIsForwarded(t *testing.T) {
	backend := serve(t, func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, "open "+r.RequestURI) })
	for name, ask := range map[string]func(*testing.T, string, string) (int, string){"HTTP1": askRaw, "H2C": askH2C} {
		for _, protocol := range []ir.Protocol{ir.ProtocolHTTP, ir.ProtocolH2C} {
			srv, _ := start(t, Options{})
			l := httpListener(80)
			resources := append(forward(l, protocol, backend), l)
			route := resources[2].(*ir.Route)
			route.Rules = append(route.Rules, ir.Rule{
				Matches: []ir.Match{{Path: ir.PathMatch{Type: ir.MatchPrefix, Value: "/admin"}}}, Policies: []string{"missing"}, Backends: route.Rules[0].Backends,
			})
			apply(t, srv, resources...)
			at := addr(t, srv, 80)
			for row, paths := range pathRows() {
				t.Run(fmt.Sprintf("%s/%sTo%s", row, name, protocol), func(t *testing.T) {
					for path, want := range paths {
						status, got := ask(t, at, path)
						switch status {
						case http.StatusUnauthorized:
							got = "closed"
						case http.StatusBadRequest:
							got = "refused"
						}
						if got != want {
							t.Errorf("%q: %s (%d), want %s", path, got, status, want)
						}
					}
				})
			}
		}
	}
}

// askRaw sends a target in HTTP/1.1 as it is.
func askRaw(t *testing.T, at, target string) (status int, body string) {
	t.Helper()
	conn := dial(t, at)
	defer func() { _ = conn.Close() }()
	if _, err := io.WriteString(conn, "GET "+target+" HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatalf("%q: %v", target, err)
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Errorf("%q: %v", target, err)
	}
	return resp.StatusCode, string(b)
}

// askH2C sends a target in HTTP/2 as it is. A stream that is reset is a refusal.
func askH2C(t *testing.T, at, target string) (status int, body string) {
	t.Helper()
	c := client(t, nil, "", h2c)
	defer c.CloseIdleConnections()
	path, query, hasQuery := strings.Cut(target, "?")
	resp, err := c.RoundTrip((&http.Request{
		Method: http.MethodGet, Host: at, Header: http.Header{},
		URL: &url.URL{Scheme: "http", Host: at, Opaque: "//" + at + path, RawQuery: query, ForceQuery: hasQuery},
	}).WithContext(t.Context()))
	if err != nil {
		if !strings.Contains(err.Error(), "PROTOCOL_ERROR") {
			t.Errorf("%q: %v", target, err)
		}
		return http.StatusBadRequest, ""
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Errorf("%q: %v", target, err)
	}
	return resp.StatusCode, string(b)
}

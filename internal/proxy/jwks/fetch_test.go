package jwks

import (
	"compress/gzip"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/citoroute/citoroute/internal/proxy/jwt"
)

// short is a fetch's time limit in tests of slow servers.
const short = 300 * time.Millisecond

func TestJW033_Answers(t *testing.T) {
	good := document(t, "a")
	redirect := func(to string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", to)
			w.WriteHeader(http.StatusFound)
			fmt.Fprint(w, good)
		}
	}
	status := func(code int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
	}
	body := func(text string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, text) }
	}
	for name, c := range map[string]struct {
		handler http.HandlerFunc
		ok      bool
	}{
		"Good":             {body(good), true},
		"TooLarge":         {body(strings.Repeat("x", 10<<20)), false},
		"TooManyKeys":      {body(`{"keys":[` + strings.Repeat(`{"kty":"RSA"},`, 100_000) + `{}]}`), false},
		"HTML":             {body("<html>"), false},
		"InvalidJSON":      {body(`{"keys":[`), false},
		"DuplicateKeys":    {body(`{"keys":[],"keys":[]}`), false},
		"Empty":            {body(""), false},
		"NoContent":        {status(http.StatusNoContent), false},
		"Refused":          {status(http.StatusUnauthorized), false},
		"RedirectHere":     {redirect("/elsewhere"), false},
		"RedirectLoop":     {redirect("/"), false},
		"RedirectFile":     {redirect("file:///etc/passwd"), false},
		"RedirectMetadata": {redirect("http://169.254.169.254/latest/meta-data"), false},
		"GzipBomb":         {gzipped, false},
		"Endless":          {endless, false},
		"Dripping":         {dripping, false},
		"NoHeader":         {func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, false},
		"Credentials": {func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Authorization") == "" && r.Header.Get("Cookie") == "" && r.Header.Get("Accept-Encoding") == "identity" {
				fmt.Fprint(w, good)
			}
		}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var asked atomic.Int32
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				asked.Add(1)
				c.handler(w, r)
			}))
			defer s.Close()
			b, err := fetcher(Local(), 5*short)(t.Context(), s.URL)
			if err == nil {
				_, _, err = jwt.ParseKeys(b)
			}
			if (err == nil) != c.ok || asked.Load() != 1 || len(b) > maxDocument {
				t.Errorf("got %d bytes and %v after %d requests", len(b), err, asked.Load())
			}
		})
	}
}

func gzipped(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Encoding", "gzip")
	z := gzip.NewWriter(w)
	_, _ = io.CopyN(z, zeros{}, 64<<20)
	_ = z.Close()
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

func endless(w http.ResponseWriter, _ *http.Request) {
	chunk := []byte(strings.Repeat(" ", 64<<10))
	for {
		if _, err := w.Write(chunk); err != nil {
			return
		}
	}
}

func dripping(w http.ResponseWriter, r *http.Request) {
	ticker := time.NewTicker(short / 10)
	defer ticker.Stop()
	for {
		_, _ = w.Write([]byte(" "))
		_ = http.NewResponseController(w).Flush()
		select {
		case <-ticker.C:
		case <-r.Context().Done():
			return
		}
	}
}

func TestJW034_Addresses(t *testing.T) {
	for address, want := range map[string]bool{
		"127.0.0.1": false, "::1": false, "::ffff:127.0.0.1": false, "169.254.169.254": false, "fd00:ec2::254": false, "0.0.0.0": false, "::": false, "224.0.0.1": false,
		"255.255.255.255": false, "10.0.0.1": false, "172.16.0.1": false, "100.64.0.1": false, "192.168.1.1": false, "fd12::1": false, "fe80::1": false,
		"64:ff9b::7f00:1": false, "2002:7f00:1::": false, "198.18.0.1": false, "0.1.2.3": false, "192.0.0.192": false, "fec0::1": false, "2001:0:7f00:1::": false, "::127.0.0.1": false,
		"8.8.8.8": true, "2606:4700::1": true,
	} {
		if a := netip.MustParseAddr(address).Unmap(); public(a) != want {
			t.Errorf("%s: public %v", address, public(a))
		}
	}
	if err := check("[::ffff:10.0.0.1]:443", func(a netip.Addr) bool { return !a.Is4() }); err == nil {
		t.Error("an IPv4 address in an IPv6 one is taken for the latter")
	}
	for _, p := range Local() {
		if p.Contains(netip.MustParseAddr("169.254.169.254")) || p.Contains(netip.MustParseAddr("fd00:ec2::254")) {
			t.Errorf("%s has the metadata of clouds", p)
		}
	}
}

// TestJW034_WhatIsDialledCounts asks for a server on this machine by every name
// that it has.
func TestJW034_WhatIsDialledCounts(t *testing.T) {
	var asked atomic.Int32
	count := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) })
	plain, secure := httptest.NewServer(count), httptest.NewTLSServer(count)
	defer plain.Close()
	defer secure.Close()
	for _, s := range []*httptest.Server{plain, secure} {
		_, port, err := net.SplitHostPort(s.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		scheme, _, _ := strings.Cut(s.URL, ":")
		for _, host := range []string{"127.0.0.1", "localhost", "localhost.", "[::ffff:127.0.0.1]", "[::1]", "0x7f.1", "2130706433", "0", "127.1", "[::]"} {
			url := scheme + "://" + host + ":" + port
			if _, err := fetcher(nil, short)(t.Context(), url); err == nil {
				t.Errorf("%s is fetched", url)
			}
		}
	}
	if asked.Load() != 0 {
		t.Errorf("the server was reached %d times", asked.Load())
	}
	if _, err := Fetcher([]netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")})(t.Context(), plain.URL); err != nil || asked.Load() != 1 {
		t.Errorf("a network that is allowed is not: %v", err)
	}
	if _, err := Fetcher([]netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")})(t.Context(), plain.URL); err == nil {
		t.Error("another network is allowed")
	}
}

func TestJW035_NoProxyFromTheEnvironment(t *testing.T) {
	t.Setenv("HTTP_PROXY", "http://127.0.0.1:1")
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "{}") }))
	defer s.Close()
	if _, err := Fetcher(Local())(t.Context(), s.URL); err != nil {
		t.Errorf("the environment's proxy is asked: %v", err)
	}
}

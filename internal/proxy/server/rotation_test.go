package server

import (
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/citoroute/citoroute/internal/ir"
	"github.com/citoroute/citoroute/internal/proxy/h1"
	"github.com/citoroute/citoroute/internal/proxy/jwks"
	"github.com/citoroute/citoroute/internal/proxy/jwt/jwttest"
	"github.com/citoroute/citoroute/internal/proxy/runtime"
)

const (
	rotations = 20
	callers   = 8
)

// keyServer publishes keys, and knows how its callers fare.
type keyServer struct {
	t       *testing.T
	mu      sync.Mutex
	changed *sync.Cond
	keys    []*jwttest.Key
	served  int // since the keys were published
	tok     string
	done    [callers]int // requests by caller since the token changed
	total   int
	ended   bool
}

func newKeyServer(t *testing.T) *keyServer {
	s := &keyServer{t: t}
	s.changed = sync.NewCond(&s.mu)
	return s
}

func (s *keyServer) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	s.mu.Lock()
	document := jwttest.Set(s.keys...)
	s.served++
	s.changed.Broadcast()
	s.mu.Unlock()
	_, _ = io.WriteString(w, document)
}

// update changes what the server has and waits for what must follow.
func (s *keyServer) update(change func(), followed func() bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
	for !followed() && !s.t.Failed() {
		s.changed.Wait()
	}
}

// publish serves keys and waits until the proxy has them: it asks again only
// when it has taken in the last answer.
func (s *keyServer) publish(keys ...*jwttest.Key) {
	s.update(func() { s.keys, s.served = keys, 0 }, func() bool { return s.served >= 2 })
}

// use hands out a token and waits until every caller has come back twice.
func (s *keyServer) use(tok string) {
	s.update(func() { s.tok, s.done = tok, [callers]int{} }, func() bool {
		for _, n := range s.done {
			if n < 2 {
				return false
			}
		}
		return true
	})
}

func (s *keyServer) newKey(kid string) (k *jwttest.Key, tok string) {
	k = jwttest.NewKey(s.t, kid)
	return k, k.Token(map[string]any{"iss": "https://i", "exp": time.Now().Add(time.Hour).Unix()})
}

// call sends one request with a token.
func call(c *http.Transport, url, tok string) (int, error) {
	req, err := http.NewRequest(http.MethodGet, url, http.NoBody)
	if err != nil {
		return 0, err
	}
	req.Header.Set("Authorization", "Bearer "+tok)
	resp, err := c.RoundTrip(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode, err
}

// run is one caller: it sends the token of the moment until the test has ended.
func (s *keyServer) run(id int, url string) {
	c := client(s.t, nil, "", http1)
	for {
		s.mu.Lock()
		tok, ended := s.tok, s.ended
		s.mu.Unlock()
		if ended {
			return
		}
		status, err := call(c, url, tok)
		s.mu.Lock()
		if s.total++; err != nil || status != http.StatusOK {
			s.t.Errorf("request %d: status %d, %v", s.total, status, err)
			s.ended = true
		}
		if tok == s.tok {
			s.done[id]++
		}
		s.changed.Broadcast()
		s.mu.Unlock()
	}
}

// TestJW036_RotationUnderLoad replaces an issuer's key again and again while
// clients call: no request with a token of a published key fails, and none with
// a removed one passes. Every second key has the name of the one before.
func TestJW036_RotationUnderLoad(t *testing.T) {
	s := newKeyServer(t)
	issuer := httptest.NewServer(s)
	defer issuer.Close()
	transport := h1.NewTransport(h1.Options{})
	srv, _ := start(t, Options{Runtime: runtime.New(runtime.Options{HTTP1: transport, HTTP2: transport, Keys: jwks.NewStore(jwks.Options{
		Fetch: jwks.Fetcher(jwks.Local()), Refresh: 4 * time.Millisecond, Minimum: 2 * time.Millisecond, Log: slog.New(slog.DiscardHandler),
	})})})
	key, tok := s.newKey("0")
	s.keys, s.tok = []*jwttest.Key{key}, tok
	l := httpListener(8080)
	l.Policies = []string{"p"}
	apply(t, srv, append(forward(l, ir.ProtocolHTTP, serve(t, func(http.ResponseWriter, *http.Request) {})), l,
		&ir.Policy{Name: "p", JWT: &ir.JWT{Providers: []ir.JWTProvider{{Name: "i", Issuer: "https://i", RemoteJWKS: issuer.URL}}}})...)
	url := "http://" + addr(t, srv, 8080)
	s.publish(key)

	var running sync.WaitGroup
	for id := range callers {
		running.Go(func() { s.run(id, url) })
	}
	probe := client(t, nil, "", func(p *http.Protocols) { p.SetHTTP1(true) })
	for i := range rotations {
		next, nextTok := s.newKey(fmt.Sprint((i + 1) / 2))
		s.publish(key, next)
		s.use(nextTok)
		s.publish(next)
		if status, err := call(probe, url, tok); err != nil || status != http.StatusUnauthorized {
			t.Errorf("rotation %d: a token of the removed key gets %d, %v", i, status, err)
		}
		key, tok = next, nextTok
	}
	s.update(func() { s.ended = true }, func() bool { return true })
	running.Wait()
	if s.total < rotations*callers*2 {
		t.Errorf("only %d requests", s.total)
	}
	t.Logf("%d requests through %d rotations", s.total, rotations)
}

package upstream

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/citoroute/citoroute/internal/certtest"
	"github.com/citoroute/citoroute/internal/ir"
	"github.com/citoroute/citoroute/internal/proxy/exchange"
)

var now = time.Unix(1_700_000_000, 0)

func addressesOf(name string, hosts ...string) *ir.Endpoints {
	e := &ir.Endpoints{Name: name}
	for _, h := range hosts {
		e.Addresses = append(e.Addresses, ir.Endpoint{Host: h, Port: 80})
	}
	return e
}

func none(string) *ir.Secret { return nil }

func TestRegistry_AClusterOutlivesItsConfigurations(t *testing.T) {
	r := NewRegistry(nil)
	c := r.Get("b") // a rule names it first
	r.Retain(c)
	if _, err := c.Pick(1, now, nil); !errors.Is(err, ErrUnknown) {
		t.Errorf("unknown backend: %v", err)
	}
	b := &ir.Backend{Name: "b", Endpoints: "e"}
	r.Set(b, nil, none)
	if _, err := c.Pick(1, now, nil); !errors.Is(err, ErrEmpty) {
		t.Errorf("no endpoints: %v", err)
	}
	r.SetEndpoints("e", addressesOf("e", "10.0.0.1", "2001:db8::1"))
	lease, err := c.Pick(1, now, nil)
	if err != nil {
		t.Fatal(err)
	}
	endpoint := lease.Endpoint
	if endpoint.Inflight() != 1 {
		t.Errorf("%d in flight", endpoint.Inflight())
	}
	r.Set(&ir.Backend{Name: "b", Endpoints: "e", ConnectTimeout: time.Second}, addressesOf("e", "10.0.0.1", "2001:db8::1"), none)
	lease.Done()
	lease.Done() // a second one does nothing
	if endpoint.Inflight() != 0 || c.Config().ConnectTimeout != time.Second {
		t.Errorf("%d in flight, %v", endpoint.Inflight(), c.Config().ConnectTimeout)
	}
	r.Delete("b")
	if _, err := c.Pick(1, now, nil); !errors.Is(err, ErrUnknown) {
		t.Errorf("deleted backend: %v", err)
	}
	r.Set(b, addressesOf("e", "10.0.0.1"), none)
	if _, err := c.Pick(1, now, nil); err != nil {
		t.Errorf("a backend that came back: %v", err)
	}
	r.Release(c)
	r.Delete("b")
	if _, err := c.Pick(1, now, nil); err != nil {
		t.Errorf("an old request found its backend gone: %v", err)
	}
	if len(r.clusters)+len(r.refs)+len(r.using) != 0 {
		t.Errorf("something is left: %v %v %v", r.clusters, r.refs, r.using)
	}
}

func TestRegistry_EndpointsMoveWithTheirBackend(t *testing.T) {
	r := NewRegistry(nil)
	r.Set(&ir.Backend{Name: "b", Endpoints: "e1"}, addressesOf("e1", "10.0.0.1"), none)
	r.Set(&ir.Backend{Name: "b", Endpoints: "e2"}, addressesOf("e2", "10.0.0.2"), none)
	r.SetEndpoints("e1", addressesOf("e1", "10.0.0.9"))
	lease, err := r.Get("b").Pick(1, now, nil)
	if err != nil || lease.Endpoint.Addr != "10.0.0.2:80" {
		t.Errorf("%+v, %v", lease.Endpoint, err)
	}
}

func TestRegistry_PausedCountsModels(t *testing.T) {
	r := NewRegistry(nil)
	r.Set(&ir.Backend{Name: "plain"}, nil, none)
	r.Set(&ir.Backend{Name: "llm", LLM: &ir.LLMProvider{}}, nil, none)
	r.Get("llm").Troubled("a").Throttled(now, now, time.Minute)
	r.Get("llm").Troubled("b").Throttled(now, now, time.Second)
	r.Get("llm").Troubled("c")
	for after, want := range map[time.Duration]int{0: 2, 2 * time.Second: 1, time.Hour: 0} {
		if diff := cmp.Diff(map[string]int{"llm": want}, r.Paused(now.Add(after))); diff != "" {
			t.Errorf("after %v: -want +got:\n%s", after, diff)
		}
	}
}

// TestCluster_NamesOfModelsAreShort: they are kept, and clients choose them.
func TestCluster_NamesOfModelsAreShort(t *testing.T) {
	r := NewRegistry(nil)
	r.Set(&ir.Backend{Name: "llm", LLM: &ir.LLMProvider{}}, nil, none)
	c, long := r.Get("llm"), strings.Repeat("x", maxModelName)
	if c.Troubled(long+"a") != c.Troubled(long+"b") {
		t.Error("long names are told apart")
	}
	if c.Troubled(long) == c.Troubled("x") {
		t.Error("short names are not told apart")
	}
}

// leaf is a server's certificate for a host, a URI or both, by an authority.
func leaf(t *testing.T, by *certtest.Pair, host, uri string) tls.Certificate {
	t.Helper()
	template := &x509.Certificate{ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	if host != "" {
		template.DNSNames = []string{host}
	}
	if uri != "" {
		u, err := url.Parse(uri)
		if err != nil {
			t.Fatal(err)
		}
		template.URIs = []*url.URL{u}
	}
	return certtest.New(t, template, by).TLS()
}

// handshake says whether a client with config accepts a server's certificate.
func handshake(t *testing.T, config *tls.Config, server tls.Certificate) error {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		_ = tls.Server(conn, &tls.Config{Certificates: []tls.Certificate{server}, MinVersion: tls.VersionTLS12}).Handshake()
		_, _ = io.Copy(io.Discard, conn)
		_ = conn.Close()
	}()
	conn, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	err = tls.Client(conn, config).Handshake()
	_, _ = conn.Close(), listener.Close()
	<-done
	return err
}

func TestTLS_ChecksTheBackend(t *testing.T) {
	ca, other := certtest.Authority(t, "test"), certtest.Authority(t, "test")
	secrets := map[string]*ir.Secret{"ca": {Name: "ca", CA: ca.PEM()}, "junk": {Name: "junk", CA: []byte("x")}}
	find := func(name string) *ir.Secret { return secrets[name] }
	for name, test := range map[string]struct {
		cfg    ir.ClientTLS
		server tls.Certificate
		ok     bool
	}{
		"Right":           {ir.ClientTLS{ServerName: "a.example", CAs: []string{"ca"}}, leaf(t, ca, "a.example", ""), true},
		"OtherName":       {ir.ClientTLS{ServerName: "a.example", CAs: []string{"ca"}}, leaf(t, ca, "b.example", ""), false},
		"OtherAuthority":  {ir.ClientTLS{ServerName: "a.example", CAs: []string{"ca"}}, leaf(t, other, "a.example", ""), false},
		"SystemOnly":      {ir.ClientTLS{ServerName: "a.example", SystemCAs: true}, leaf(t, ca, "a.example", ""), false},
		"SANHost":         {ir.ClientTLS{ServerName: "a.example", CAs: []string{"ca"}, SubjectAltNames: []ir.SANMatch{{Hostname: "x"}, {Hostname: "b.example"}}}, leaf(t, ca, "b.example", ""), true},
		"SANNotTheServer": {ir.ClientTLS{ServerName: "a.example", CAs: []string{"ca"}, SubjectAltNames: []ir.SANMatch{{Hostname: "b.example"}}}, leaf(t, ca, "a.example", ""), false},
		"SANURI":          {ir.ClientTLS{ServerName: "a.example", CAs: []string{"ca"}, SubjectAltNames: []ir.SANMatch{{URI: "spiffe://x/y"}}}, leaf(t, ca, "", "spiffe://x/y"), true},
		"SANOtherURI":     {ir.ClientTLS{ServerName: "a.example", CAs: []string{"ca"}, SubjectAltNames: []ir.SANMatch{{URI: "spiffe://x/y"}}}, leaf(t, ca, "a.example", "spiffe://x/z"), false},
		"SANBadChain":     {ir.ClientTLS{ServerName: "a.example", CAs: []string{"ca"}, SubjectAltNames: []ir.SANMatch{{Hostname: "b.example"}}}, leaf(t, other, "b.example", ""), false},
		"SANEmpty":        {ir.ClientTLS{ServerName: "a.example", CAs: []string{"ca"}, SubjectAltNames: []ir.SANMatch{{}}}, leaf(t, ca, "a.example", ""), false},
	} {
		t.Run(name, func(t *testing.T) {
			config, _, err := newTLS(&test.cfg, false, find)
			if err != nil {
				t.Fatal(err)
			}
			if err := handshake(t, config, test.server); (err == nil) != test.ok {
				t.Errorf("handshake: %v", err)
			}
		})
	}
	for name, cfg := range map[string]ir.ClientTLS{
		"NoAuthority": {ServerName: "a"}, "Missing": {CAs: []string{"gone"}}, "Junk": {CAs: []string{"junk"}},
		"OneOfTwoJunk": {CAs: []string{"ca", "junk"}}, "NoKey": {SystemCAs: true, Certificate: "ca"}, "NoCertificate": {SystemCAs: true, Certificate: "gone"},
	} {
		if _, _, err := newTLS(&cfg, false, find); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestRegistry_KeepsTLSAsLongAsNothingOfItChanges(t *testing.T) {
	ca := certtest.Authority(t, "test")
	secret := &ir.Secret{Name: "ca", CA: ca.PEM()}
	find := func(string) *ir.Secret { return secret }
	backend := func(timeout time.Duration, host string) *ir.Backend {
		return &ir.Backend{Name: "b", Endpoints: "e", ConnectTimeout: timeout, TLS: &ir.ClientTLS{ServerName: host, CAs: []string{"ca"}}}
	}
	r := NewRegistry(nil)
	r.Set(backend(1, "a"), nil, find)
	first := r.Get("b").Config().TLS
	r.Set(backend(2, "a"), nil, find)
	if r.Get("b").Config().TLS != first {
		t.Error("another timeout made another TLS identity")
	}
	r.Set(backend(2, "b"), nil, find)
	second := r.Get("b").Config().TLS
	if second == first {
		t.Error("another server name kept the TLS identity")
	}
	secret = &ir.Secret{Name: "ca", CA: certtest.Authority(t, "test").PEM()}
	r.Refresh("ca", find)
	if r.Get("b").Config().TLS == second {
		t.Error("another authority kept the TLS identity")
	}
	secret = nil
	r.Refresh("ca", find)
	if c := r.Get("b").Config(); c.Err == nil {
		t.Error("a lost authority leaves the backend usable")
	}
}

func TestReplay(t *testing.T) {
	for name, test := range map[string]struct {
		length int64
		limit  int
		whole  bool
	}{"Fits": {11, 11, true}, "FitsUnknown": {exchange.Unknown, 64, true}, "TooLong": {11, 10, false}, "TooLongUnknown": {exchange.Unknown, 3, false}, "Nothing": {11, 0, false}} {
		t.Run(name, func(t *testing.T) {
			r, err := NewReplay(NewBody([]byte("hello world")), test.length, test.limit)
			if err != nil || r.Whole() != test.whole {
				t.Fatalf("whole %v, %v", r.Whole(), err)
			}
			if b, err := io.ReadAll(r); string(b) != "hello world" || err != nil {
				t.Errorf("%q, %v", b, err)
			}
			if !test.whole {
				return
			}
			r.Rewind()
			if b, err := io.ReadAll(r); string(b) != "hello world" || err != nil {
				t.Errorf("again: %q, %v", b, err)
			}
			if b, err := io.ReadAll(r.Copy()); string(b) != "hello world" || err != nil {
				t.Errorf("copy: %q, %v", b, err)
			}
		})
	}
}

func TestReplay_ABrokenBodyIsTheClientsFault(t *testing.T) {
	_, err := NewReplay(&broken{Reader: io.MultiReader(strings.NewReader("he"), &broken{})}, exchange.Unknown, 100)
	if f, ok := errors.AsType[*exchange.Failure](err); !ok || f.Stage != exchange.StageClient {
		t.Errorf("%v", err)
	}
}

type broken struct{ io.Reader }

func (b *broken) Read(p []byte) (int, error) {
	if b.Reader != nil {
		return b.Reader.Read(p)
	}
	return 0, io.ErrUnexpectedEOF
}
func (b *broken) Buffered() int { return 0 }
func (b *broken) Close() error  { return nil }

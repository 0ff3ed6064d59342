package observe

import (
	"crypto/x509"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/common/expfmt"

	"github.com/citoroute/citoroute/internal/certtest"
	"github.com/citoroute/citoroute/internal/ir"
)

// endingAt returns a PEM certificate that ends so many seconds after 1970.
func endingAt(t *testing.T, seconds int64) []byte {
	t.Helper()
	return certtest.New(t, &x509.Certificate{NotAfter: time.Unix(seconds, 0)}, nil).PEM()
}

// exposes fails the test unless the metric has exactly these samples.
func exposes(t *testing.T, o *Observer, metric string, samples ...string) {
	t.Helper()
	var want strings.Builder
	for _, s := range samples {
		want.WriteString(metric + s + "\n")
	}
	got, err := testutil.CollectAndFormat(o.live, expfmt.TypeTextPlain, metric)
	if err != nil {
		t.Fatal(err)
	}
	var values strings.Builder
	for line := range strings.Lines(string(got)) {
		if !strings.HasPrefix(line, "#") {
			values.WriteString(line)
		}
	}
	if values.String() != want.String() {
		t.Errorf("got\n%swant\n%s", values.String(), want.String())
	}
}

func TestWatch_TellsWhenCertificatesExpire(t *testing.T) {
	const metric = "citoroute_certificate_expiry_timestamp_seconds"
	o := New(Options{})
	defer o.Close()
	exposes(t, o, metric)
	listener := &ir.Listener{Name: "a/web/https", TLS: &ir.ServerTLS{Certificates: []string{"secret/a/shop", "again"}}}
	secret := func(name string, end int64) *ir.Secret {
		return &ir.Secret{Name: name, Source: ir.Source{Kind: "Secret", Namespace: "a", Name: "shop"}, Certificate: endingAt(t, end)}
	}
	live := []ir.Resource{listener, secret("secret/a/shop", 2000000000), secret("again", 1900000000)}
	o.Watch(Live{Resources: func() []ir.Resource { return live }, Paused: func() map[string]int { return nil }})
	exposes(t, o, metric, `{kind="Secret",name="shop",namespace="a",use="listener"} 1.9e+09`)
	live = []ir.Resource{listener, secret("secret/a/shop", 2100000000)}
	o.Applied(nil)
	exposes(t, o, metric, `{kind="Secret",name="shop",namespace="a",use="listener"} 2.1e+09`)
	live = []ir.Resource{listener}
	o.Applied(nil)
	exposes(t, o, metric)
}

func TestWatch_TellsWhoIsNotAsked(t *testing.T) {
	o := New(Options{})
	defer o.Close()
	paused := map[string]int{"llm/a/claude": 2, "llm/a/gpt": 0}
	o.Watch(Live{Resources: func() []ir.Resource { return nil }, Paused: func() map[string]int { return paused }})
	exposes(t, o, "citoroute_llm_backend_paused_models", `{backend="llm/a/claude"} 2`, `{backend="llm/a/gpt"} 0`)
	delete(paused, "llm/a/claude")
	exposes(t, o, "citoroute_llm_backend_paused_models", `{backend="llm/a/gpt"} 0`)
}

func TestWatch_TellsOfTheRoomForBackends(t *testing.T) {
	o := New(Options{})
	defer o.Close()
	l := Live{Resources: func() []ir.Resource { return nil }, Paused: func() map[string]int { return nil }}
	o.Watch(l)
	exposes(t, o, "citoroute_backend_connections_limit")
	l.Backends = func() (open, limit int) { return 3, 10 }
	o.Watch(l)
	exposes(t, o, "citoroute_backend_connections", " 3")
	exposes(t, o, "citoroute_backend_connections_limit", " 10")
}

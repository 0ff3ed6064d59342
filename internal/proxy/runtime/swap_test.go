package runtime

import (
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/citoroute/citoroute/internal/ir"
	"github.com/citoroute/citoroute/internal/proxy/exchange"
)

// mixed answers 200 where the field that the rule set and the backend that it
// chose are of the same configuration.
type mixed struct{ wrong atomic.Int64 }

func (m *mixed) RoundTrip(ex *exchange.Exchange, to *exchange.Target) error {
	v, _ := ex.Request.Header.Get("X-Config")
	if !strings.HasPrefix(to.Addr, v+":") {
		m.wrong.Add(1)
	}
	ex.Response.Status = 200
	return nil
}

// configOf is a whole configuration that can be told from the next one.
func configOf(host string) ir.Update {
	set := ir.Filter{RequestHeaders: &ir.HeaderModifier{Set: []ir.NameValue{{Name: "X-Config", Value: host}}}}
	return ir.Update{Complete: true, Upserts: append(backend("service "+host, host),
		&ir.Listener{Name: "gw/http", Port: 80, Protocol: ir.ProtocolHTTP},
		routeOf("r", ir.Rule{Filters: []ir.Filter{set}, Backends: to("service " + host)}))}
}

func TestApply_NoRequestSeesHalfAChange(t *testing.T) {
	transport := &mixed{}
	rt := New(Options{HTTP1: transport, HTTP2: transport})
	if err := rt.Apply(configOf("10.0.0.1")); err != nil {
		t.Fatal(err)
	}
	var clients sync.WaitGroup
	var stop atomic.Bool
	var failed atomic.Int64
	for range 4 {
		clients.Go(func() {
			h := rt.Handler(80, "")
			for !stop.Load() {
				ex := request80("/")
				h.Serve(ex)
				if ex.Response.Status != 200 {
					failed.Add(1)
				}
				h.Finish(ex, exchange.End{})
			}
		})
	}
	for i := range 500 {
		if err := rt.Apply(configOf([]string{"10.0.0.2", "10.0.0.1"}[i%2])); err != nil {
			t.Error(err)
		}
	}
	stop.Store(true)
	clients.Wait()
	if transport.wrong.Load() != 0 || failed.Load() != 0 {
		t.Errorf("%d requests saw two configurations, %d failed", transport.wrong.Load(), failed.Load())
	}
}

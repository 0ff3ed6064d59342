package runtime

import (
	"strings"
	"testing"
	"time"

	"github.com/citoroute/citoroute/internal/ir"
	"github.com/citoroute/citoroute/internal/proxy/limit/redis/redistest"
)

// replica is a proxy that counts at a server.
func replica(t *testing.T, address string, open bool) (m *models, now *time.Time) {
	t.Helper()
	m, now = newLimited(t, to("a"))
	m.count(address, open)
	return m, now
}

// count makes the replica count three requests a day at a server.
func (m *models) count(address string, open bool) {
	m.t.Helper()
	resources := limited(ir.Limit{Name: "rpd", Unit: ir.LimitRequests, Per: ir.PerDay, Amount: 3})
	policy := *resources[0].(*ir.Policy).Limits
	policy.Open, policy.Redis = open, &ir.Redis{Address: address, Prefix: "test", Credentials: "redis"}
	m.apply(ir.Update{Upserts: []ir.Resource{
		&ir.Policy{Name: "limits", Source: ir.Source{Namespace: "ns", Name: "team"}, Limits: &policy},
		&ir.Secret{Name: "redis", Values: map[string]ir.Bytes{"password": ir.Bytes("secret\n")}},
	}})
}

// eventually asks until a busy machine has answered in the time that a server
// has, and returns the status.
func (m *models) eventually(now *time.Time, want int) int {
	m.t.Helper()
	for range 100 {
		ex, _, _ := m.ask("m")
		if ex.Response.Status == want {
			return want
		}
		if ex.Response.Status != 503 {
			return ex.Response.Status
		}
		*now = now.Add(time.Second)
	}
	return 503
}

// LM-031: replicas count together, and one that starts goes on where another
// has stopped.
func TestLM031_ReplicasOnOneServer(t *testing.T) {
	server := redistest.Start(t, "--requirepass", "secret")
	one, now1 := replica(t, server.Address, false)
	two, now2 := replica(t, server.Address, false)
	if a, b := one.eventually(now1, 200), two.eventually(now2, 200); a != 200 || b != 200 {
		t.Fatalf("%d, %d", a, b)
	}
	restarted, now3 := replica(t, server.Address, false)
	if got := restarted.eventually(now3, 200); got != 200 {
		t.Errorf("the third gets %d", got)
	}
	for _, r := range []struct {
		m   *models
		now *time.Time
	}{{one, now1}, {two, now2}, {restarted, now3}} {
		if got := r.m.eventually(r.now, 429); got != 429 {
			t.Errorf("the fourth gets %d", got)
		}
	}
}

// TestLimits_StoreIsLost is LM-035: the store is the one external call that can
// refuse a request, and what follows from its loss is stated.
func TestLimits_StoreIsLost(t *testing.T) {
	server := redistest.Start(t, "--requirepass", "secret")
	m, now := replica(t, server.Address, false)
	if got := m.eventually(now, 200); got != 200 {
		t.Fatal(got)
	}
	server.Stop()
	for range 10 {
		ex, body, asked := m.ask("m")
		if ex.Response.Status != 503 || asked != "" || !strings.Contains(body, "the limits can not be checked") || !ex.Response.Header.Has("Retry-After") {
			t.Fatalf("deny: %d %s", ex.Response.Status, body)
		}
	}
	if m.done[len(m.done)-1].LLM.LimitErr == nil {
		t.Error("the record says nothing of the loss")
	}
	m.count(server.Address, true)
	for range 10 {
		ex, _, _ := m.ask("m")
		if ex.Response.Status != 200 || len(fieldsOf(ex, "X-Ratelimit")) != 0 {
			t.Fatalf("allow: %d %v", ex.Response.Status, ex.Response.Header)
		}
	}
	server.Run()
	m.count(server.Address, false)
	*now = now.Add(time.Second)
	if got := m.eventually(now, 200); got != 200 {
		t.Errorf("it is back: %d", got)
	}
}

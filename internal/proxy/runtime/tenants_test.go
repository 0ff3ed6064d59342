package runtime

import (
	"fmt"
	"testing"

	"github.com/citoroute/citoroute/internal/ir"
)

// Rows of section 5a of the security catalogue that requests decide: tenants
// whose routes are on one listener.

// TestTenants_Precedence is rows GW-010 and GW-014: who asked first, by the
// objects alone and not by the order in which they came.
func TestTenants_Precedence(t *testing.T) {
	claim := func(namespace, name string, created int64, status int, path string) *ir.Route {
		r := routeOf(namespace+"/"+name, ir.Rule{Matches: prefix(path), Direct: &ir.Direct{Status: status}})
		r.Source.Namespace, r.Source.Name, r.Created, r.Hostnames = namespace, name, created, []string{"api.a.com"}
		return r
	}
	wildcard := claim("a", "a", 1, 201, "/login")
	wildcard.Hostnames = []string{"*.a.com"}
	for row, c := range map[string]struct{ winner, loser *ir.Route }{
		"GW-010 older":                      {claim("z", "z", 1, 200, "/"), claim("a", "a", 2, 201, "/")},
		"GW-010 same second, namespace":     {claim("a", "z", 2, 200, "/"), claim("b", "a", 2, 201, "/")},
		"GW-010 same second, name":          {claim("a", "a", 2, 200, "/"), claim("a", "b", 2, 201, "/")},
		"GW-010 no time at all":             {claim("a", "a", 0, 200, "/"), claim("b", "a", 0, 201, "/")},
		"GW-014 longer path":                {claim("z", "z", 2, 200, "/login"), claim("a", "a", 1, 201, "/")},
		"GW-014 hostname before its length": {claim("z", "z", 2, 200, "/"), wildcard},
	} {
		t.Run(row, func(t *testing.T) {
			for _, order := range [][]ir.Resource{{c.winner, c.loser}, {c.loser, c.winner}} {
				f := newFixture(t, order...)
				f.wantStatus(f.get("/login", "Host: api.a.com"), 200)
				f.apply(ir.Update{Upserts: []ir.Resource{c.loser}}) // written again, as by a restore
				f.wantStatus(f.get("/login", "Host: api.a.com"), 200)
			}
		})
	}
	t.Run("GW-015 winner deleted", func(t *testing.T) {
		winner, loser := claim("a", "a", 1, 200, "/"), claim("b", "b", 2, 201, "/")
		f := newFixture(t, winner, loser)
		f.wantStatus(f.get("/", "Host: api.a.com"), 200)
		f.apply(ir.Update{Removed: []ir.Ref{ir.RefOf(winner)}})
		f.wantStatus(f.get("/", "Host: api.a.com"), 201)
	})
}

// TestTenants_Revoked is row GW-002: what a revoked grant leaves of a rule is the
// 500 of translation, and no request reaches the backend any more, whatever
// connections to it are pooled.
func TestTenants_Revoked(t *testing.T) {
	b := backend("b", "10.0.0.1")
	rule := func(to ...ir.WeightedBackend) *ir.Route { return routeOf("r", ir.Rule{Backends: to}) }
	f := newFixture(t, append(b, rule(to("b")...))...)
	f.wantStatus(f.get("/"), 200)
	before := len(f.to.seen)
	for row, update := range map[string]ir.Update{
		"GW-002 rule":             {Upserts: []ir.Resource{rule(ir.WeightedBackend{Status: 500, Weight: 1})}},
		"GW-002 rule and backend": {Upserts: []ir.Resource{rule(ir.WeightedBackend{Status: 500, Weight: 1})}, Removed: []ir.Ref{ir.RefOf(b[0]), ir.RefOf(b[1])}},
	} {
		t.Run(row, func(t *testing.T) {
			f.apply(update)
			f.wantStatus(f.get("/"), 500)
			if len(f.to.seen) != before {
				t.Errorf("the backend was asked: %v", f.to.seen)
			}
		})
	}
}

// TestTenants_NobodyElseIsHeldUp is row GW-022: routes of one tenant change again
// and again, and those of another are not compiled anew.
func TestTenants_NobodyElseIsHeldUp(t *testing.T) {
	t.Run("GW-022 churn", func(t *testing.T) {
		f := newFixture(t, append(backend("b", "10.0.0.1"), routeOf("still", ir.Rule{Matches: prefix("/still"), Backends: to("b")}))...)
		f.wantStatus(f.get("/still"), 200)
		first := f.routes["still"]
		for i := range 100 {
			f.apply(ir.Update{Upserts: []ir.Resource{routeOf("busy", ir.Rule{Matches: prefix(fmt.Sprint("/busy", i)), Direct: &ir.Direct{Status: 200}})}})
		}
		f.wantStatus(f.get("/still"), 200)
		f.wantStatus(f.get("/busy99"), 200)
		f.wantStatus(f.get("/busy98"), 404)
		if f.routes["still"] != first {
			t.Error("a route that did not change was compiled again")
		}
	})
}

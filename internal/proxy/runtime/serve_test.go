package runtime

import (
	"testing"

	"github.com/citoroute/citoroute/internal/ir"
)

func TestServe_ForwardsToTheBackendOfTheRule(t *testing.T) {
	f := newFixture(t, append(backend("b", "10.0.0.1"), routeOf("r", ir.Rule{Backends: to("b")}))...)
	ex := f.get("GET /x?y=z", "X-Forwarded-For: 198.51.100.7", "X_Forwarded_Proto: https", "Forwarded: for=x")
	f.wantStatus(ex, 200)
	if got := f.to.seen; len(got) != 1 || got[0] != "10.0.0.1:8080" {
		t.Errorf("sent to %v", got)
	}
	for name, want := range map[string]string{
		"X-Forwarded-For": "198.51.100.7, 192.0.2.1", "X-Forwarded-Proto": "http", "X-Forwarded-Host": "example.com",
	} {
		if got, _ := f.to.last.Header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if f.to.last.Header.Has("Forwarded") || f.to.last.Header.Has("X_Forwarded_Proto") {
		t.Errorf("fields that a client must not send came through: %v", f.to.last.Header)
	}
	r := f.done[0]
	if r.Backend != "b" || r.Endpoint != "10.0.0.1:8080" || r.Attempts != 1 || r.Series != "series b" || r.Route.Name != "r" {
		t.Errorf("record %+v", r)
	}
}

package standalone

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/citoroute/citoroute/internal/translate"
)

// routeTo is a route for /path that redirects to a host, and needs no backend.
func routeTo(name, path, host string) string {
	return `
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: ` + name + `}
spec:
  parentRefs: [{name: g}]
  rules:
  - matches: [{path: {value: ` + path + `}}]
    filters: [{type: RequestRedirect, requestRedirect: {hostname: ` + host + `}}]
`
}

const gatewayManifest = `
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: g}
spec:
  gatewayClassName: citoroute
  listeners: [{name: http, protocol: HTTP, port: 80}]
`

// redirectsTo polls until path is redirected to a host; "" stands for 404.
func (r *running) redirectsTo(path, host string) {
	r.t.Helper()
	start := time.Now()
	look := time.NewTicker(5 * time.Millisecond)
	defer look.Stop()
	want := "http://" + host + path
	if host == "" {
		want = ""
	}
	for {
		got := r.get(80, "http://localhost"+path, nil)
		if location := got.header.Get("Location"); location == want {
			return
		} else if time.Since(start) > 10*time.Second {
			r.t.Fatalf("%s is redirected to %q, want %q", path, location, want)
		}
		<-look.C
	}
}

// TestSource_TakesAChangeAtTheSecondLook is what a change waits for at most, by a
// clock that a busy machine does not delay.
func TestSource_TakesAChangeAtTheSecondLook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := source{paths: []string{t.TempDir()}}
		seen, err := s.looks()
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		changed := make(chan int)
		go s.watch(ctx, seen, func(now map[string]look) { changed <- len(now) })
		for files, name := range []string{"a.yaml", "b.yaml"} {
			if err := os.WriteFile(filepath.Join(s.paths[0], name), []byte("{}"), 0o600); err != nil {
				t.Fatal(err)
			}
			began := time.Now()
			if n := <-changed; n != files+1 {
				t.Errorf("%d files after %d were written", n, files+1)
			}
			if took := time.Since(began); took > 2*lookInterval {
				t.Errorf("%s was taken after %s", name, took)
			}
		}
	})
}

func TestRun_ServesChanges(t *testing.T) {
	r := serve(t, map[string]string{"g.yaml": gatewayManifest, "routes/a.yaml": routeTo("a", "/a", "one.example")})
	r.redirectsTo("/a", "one.example")
	r.write("routes/a.yaml", routeTo("a", "/a", "two.example"))
	r.redirectsTo("/a", "two.example")
	r.write("routes/more/b.yaml", routeTo("b", "/b", "b.example"))
	r.redirectsTo("/b", "b.example")
	if err := os.Remove(filepath.Join(r.dir, "routes/a.yaml")); err != nil {
		t.Fatal(err)
	}
	r.redirectsTo("/a", "")
	r.redirectsTo("/b", "b.example")
}

func TestRun_KeepsWhatWasGood(t *testing.T) {
	good := routeTo("a", "/a", "one.example")
	for name, broken := range map[string]string{
		"NotYAML":      "a: [",
		"UnknownField": strings.Replace(good, "rules:", "rulez: []\n  rules:", 1),
		"CutShort":     good[:60],
		"BadValue":     strings.Replace(good, "/a", "a", 1),
	} {
		t.Run(name, func(t *testing.T) {
			r := serve(t, map[string]string{"g.yaml": gatewayManifest, "a.yaml": good, "b.yaml": routeTo("b", "/b", "b.example")})
			r.write("a.yaml", broken)
			r.wait(func(reports []Report) bool {
				last := reports[len(reports)-1].Problems
				return len(last) > 0 && strings.HasSuffix(last[0].File, "a.yaml")
			})
			r.redirectsTo("/a", "one.example")
			r.redirectsTo("/b", "b.example")
			r.write("a.yaml", routeTo("a", "/a", "mended.example"))
			r.redirectsTo("/a", "mended.example")
		})
	}
}

func TestRun_ReportsEachStatusOnceAndWhenItChanges(t *testing.T) {
	r := serve(t, map[string]string{"g.yaml": gatewayManifest, "a.yaml": routeTo("a", "/a", "one.example")})
	r.write("b.yaml", routeTo("b", "/b", "b.example"))
	r.wait(func(reports []Report) bool { return len(reports) >= 2 })
	r.mu.Lock()
	defer r.mu.Unlock()
	var seen []string
	for _, s := range r.reports[1].Statuses {
		seen = append(seen, s.Key.String())
	}
	// The Gateway has one route more now; route a is as it was.
	if got, want := strings.Join(seen, " "), "Gateway/default/g HTTPRoute/default/b"; got != want {
		t.Errorf("second report is about %s, want %s", got, want)
	}
}

func TestRun_SeveralGateways(t *testing.T) {
	second := strings.NewReplacer("name: g", "name: h", "port: 80", "port: 81").Replace(gatewayManifest)
	r := serve(t, map[string]string{"g.yaml": gatewayManifest, "h.yaml": second, "a.yaml": routeTo("a", "/a", "one.example")})
	r.redirectsTo("/a", "one.example")
	if got := r.get(81, "http://localhost/a", nil); got.status != http.StatusNotFound {
		t.Errorf("the other Gateway answers %+v", got)
	}
	if err := os.Remove(filepath.Join(r.dir, "h.yaml")); err != nil {
		t.Fatal(err)
	}
	r.wait(func(reports []Report) bool {
		gone := reports[len(reports)-1].Gone
		return len(gone) == 1 && gone[0] == translate.Key{Kind: translate.KindGateway, Namespace: "default", Name: "h"}
	})
	r.redirectsTo("/a", "one.example")
}

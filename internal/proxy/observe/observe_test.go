package observe

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/citoroute/citoroute/internal/ir"
	"github.com/citoroute/citoroute/internal/proxy/exchange"
	"github.com/citoroute/citoroute/internal/proxy/runtime"
)

func testRoute(name string) *ir.Route {
	return &ir.Route{
		Name: "HTTPRoute/ns/" + name + "@ns/gw/http", Listener: "ns/gw/http",
		Source: ir.Source{Kind: "HTTPRoute", Namespace: "ns", Name: name},
	}
}

func TestObserver_CountsByRouteAndClass(t *testing.T) {
	o := New(Options{})
	s := o.Series(testRoute("r"), nil, "b")
	if again := o.Series(testRoute("r"), nil, "b"); again != s {
		t.Error("a route that was compiled again counts apart")
	}
	for _, status := range []int{200, 204, 503} {
		o.Done(&runtime.Record{Status: status, Series: s, Duration: time.Millisecond})
	}
	o.Done(&runtime.Record{Status: 404})
	want := `
# HELP citoroute_http_requests_total HTTP requests by what answered them and the class of the status.
# TYPE citoroute_http_requests_total counter
citoroute_http_requests_total{backend="",code_class="4xx",listener="",route=""} 1
citoroute_http_requests_total{backend="b",code_class="2xx",listener="ns/gw/http",route="HTTPRoute/ns/r"} 2
citoroute_http_requests_total{backend="b",code_class="5xx",listener="ns/gw/http",route="HTTPRoute/ns/r"} 1
`
	if err := testutil.GatherAndCompare(o.Registry(), strings.NewReader(want), "citoroute_http_requests_total"); err != nil {
		t.Error(err)
	}
}

func TestObserver_ForgetsRoutesThatAreGone(t *testing.T) {
	o := New(Options{})
	for _, r := range []string{"r", "other"} {
		o.Done(&runtime.Record{Status: 200, Series: o.Series(testRoute(r), nil, "b")})
	}
	o.Applied([]ir.Ref{ir.RefOf(testRoute("r"))})
	if n := testutil.CollectAndCount(o.metrics.requests); n != 1 {
		t.Errorf("%d counters, want that of the other route", n)
	}
	if n := testutil.CollectAndCount(o.metrics.duration); n != 2 {
		t.Errorf("%d histograms, want that of the other route and that of none", n)
	}
}

func TestObserver_HistogramsAreBounded(t *testing.T) {
	o := New(Options{})
	for i := range maxRoutes + 500 {
		o.Series(testRoute(strings.Repeat("x", i)), nil, "b")
	}
	if n := testutil.CollectAndCount(o.metrics.duration); n > maxRoutes+2 {
		t.Errorf("%d histograms", n)
	}
}

func record() *runtime.Record {
	return &runtime.Record{
		Start: time.Unix(0, 0), Head: 2 * time.Millisecond, Duration: 1500 * time.Microsecond,
		Method: "GET", Scheme: "http", Authority: "a.test", Path: "/x", Query: "token=hunter2", Proto: exchange.HTTP11,
		Remote: netip.MustParseAddrPort("10.0.0.1:1234"), UserAgent: "curl", RequestID: "id-1",
		Listener: &ir.Listener{Name: "ns/gw/http"}, Route: testRoute("r"), Rule: &ir.Rule{Name: "0"},
		Consumer: "ns/team", Backend: "b", Endpoint: "10.0.0.2:80", Attempts: 2, Status: 200,
		End: exchange.End{Sent: 5, Received: 3},
	}
}

func TestAccessLog_Line(t *testing.T) {
	var out bytes.Buffer
	o := New(Options{AccessLog: &out})
	o.Done(record())
	o.Close()
	want := `{"time":"1970-01-01T00:00:00.000000Z","method":"GET","scheme":"http","host":"a.test","path":"/x","protocol":"HTTP/1.1",` +
		`"status":200,"bytesSent":5,"bytesReceived":3,"duration":0.001500,"headDuration":0.002000,"remote":"10.0.0.1:1234",` +
		`"listener":"ns/gw/http","route":"HTTPRoute/ns/r","rule":"0","consumer":"ns/team","backend":"b","endpoint":"10.0.0.2:80","attempts":2,` +
		`"userAgent":"curl","requestID":"id-1"}` + "\n"
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestAccessLog_ClientOfATrustedProxy(t *testing.T) {
	var out bytes.Buffer
	o := New(Options{AccessLog: &out})
	rec := record()
	rec.Peer, rec.Remote = rec.Remote, netip.MustParseAddrPort("[2001:db8::1]:0") // a port that nobody told
	o.Done(rec)
	o.Close()
	if want := `"remote":"2001:db8::1","peer":"10.0.0.1:1234",`; !strings.Contains(out.String(), want) {
		t.Errorf("got %s, want %s", &out, want)
	}
}

func TestAccessLog_ClientCannotForgeALine(t *testing.T) {
	var out bytes.Buffer
	o := New(Options{AccessLog: &out})
	rec := record()
	rec.UserAgent = "\"}\n{\"method\":\"\xff\\"
	rec.Err = errors.New("broken\r\nline")
	o.Done(rec)
	o.Close()
	if n := strings.Count(out.String(), "\n"); n != 1 {
		t.Fatalf("%d lines:\n%s", n, &out)
	}
	var got map[string]any
	if err := json.Unmarshal(out.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if got["userAgent"] != "\"}\n{\"method\":\"\ufffd\\" || got["method"] != "GET" {
		t.Errorf("got %v", got)
	}
}

// stuck is a log that nobody reads until it is released.
type stuck struct{ release chan struct{} }

func (w stuck) Write(p []byte) (int, error) {
	<-w.release
	return len(p), nil
}

func TestAccessLog_NeverBlocks(t *testing.T) {
	w := stuck{make(chan struct{})}
	o := New(Options{AccessLog: w})
	const lines = 3 * logBacklog
	for range lines {
		o.Done(record())
	}
	if lost := testutil.ToFloat64(o.metrics.dropped); lost == 0 || lost >= lines {
		t.Errorf("%v of %d lines were dropped", lost, lines)
	}
	close(w.release)
	o.Close()
}

func BenchmarkDone(b *testing.B) {
	o := New(Options{})
	rec := record()
	rec.Series = o.Series(rec.Route, nil, "b")
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		r := *rec
		for pb.Next() {
			o.Done(&r)
		}
	})
}

func TestDone_AllocatesNothing(t *testing.T) {
	o := New(Options{})
	rec := record()
	rec.Series = o.Series(rec.Route, nil, "b")
	o.Done(rec)
	if n := testing.AllocsPerRun(100, func() { o.Done(rec) }); n != 0 {
		t.Errorf("%v allocations per exchange", n)
	}
}

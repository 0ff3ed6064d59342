package faults

import (
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/citoroute/citoroute/internal/ir"
)

// TestFT003_TermUnderLoad: whoever is told to stop is not ready from then on,
// goes on answering for a while, and ends when the last answer is out.
func TestFT003_TermUnderLoad(t *testing.T) {
	begun, release := make(chan struct{}, 1), make(chan struct{})
	slow := serve(t, "", func(w http.ResponseWriter, _ *http.Request) {
		begun <- struct{}{}
		<-release
		_, _ = io.WriteString(w, "slow")
	})
	quick := serve(t, "", nil)
	p := start(t, settings{}, append(route("slow", "/slow", ir.Rule{}, ir.ProtocolHTTP, slow.address()),
		route("quick", "/quick", ir.Rule{}, ir.ProtocolHTTP, quick.address())...)...)
	last := make(chan answer, 1)
	go func() {
		status, body := ask(t, new(http.Transport), "POST", p.url("/slow"), "slow")
		last <- answer{"slow", body, status}
	}()
	<-begun
	l := put(t, "POST", p.url("/quick"))
	l.more(100)
	if err := p.command.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the proxy to be no longer ready", func() bool { return !p.ready() })
	l.more(100)
	all := l.wait()
	for _, a := range failed(all) {
		if !refused(a) {
			t.Errorf("%+v", a)
		}
	}
	select {
	case <-p.done:
		t.Error("it ended before its last answer")
	default:
	}
	close(release)
	if a := <-last; failed([]answer{a}) != nil {
		t.Errorf("the request that was in flight: %+v", a)
	}
	<-p.done
	if p.err != nil {
		t.Errorf("it ended with %v", p.err)
	}
	onceOnly(t, quick, slow)
	t.Logf("%d requests", len(all))
}

// TestFT028_FileLimit: without descriptors left nobody new is let in, but it can
// still be asked how it is, and recovers.
func TestFT028_FileLimit(t *testing.T) {
	b := serve(t, "", nil)
	const limit = 96
	p := start(t, settings{wrap: []string{"prlimit", "--nofile=" + strconv.Itoa(limit) + ":" + strconv.Itoa(limit)}},
		route("r", "/", ir.Rule{}, ir.ProtocolHTTP, b.address())...)
	var all []net.Conn
	for range 2 * limit {
		all = append(all, dial(t, p.address()))
	}
	for _, path := range []string{"/livez", "/metrics"} {
		if status, body := ask(t, new(http.Transport), "GET", "http://"+p.metrics+path, ""); status != http.StatusOK {
			t.Errorf("%s: %d %.100q", path, status, body)
		}
	}
	for _, c := range all {
		_ = c.Close()
	}
	eventually(t, "an answer", func() bool {
		status, _ := ask(t, new(http.Transport), "GET", p.url("/"), "after")
		return status == http.StatusOK
	})
}

// TestFT029_NobodyReadsTheLog: an access log that is not read costs lines and no
// requests.
func TestFT029_NobodyReadsTheLog(t *testing.T) {
	b := serve(t, "", nil)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _, _ = r.Close(), w.Close() }()
	p := start(t, settings{stdout: w}, route("r", "/", ir.Rule{}, ir.ProtocolHTTP, b.address())...)
	l := put(t, "POST", p.url("/"))
	l.more(10_000)
	for _, a := range failed(l.stop()) {
		t.Errorf("%+v", a)
	}
	_, metrics := ask(t, new(http.Transport), "GET", "http://"+p.metrics+"/metrics", "")
	if n := metric(t, metrics, "citoroute_access_log_dropped_total"); n == 0 {
		t.Error("nothing says that lines were dropped")
	}
}

// metric is the value of a metric without labels.
func metric(t *testing.T, all, name string) float64 {
	t.Helper()
	for line := range strings.Lines(all) {
		if value, ok := strings.CutPrefix(strings.TrimSpace(line), name+" "); ok {
			n, err := strconv.ParseFloat(value, 64)
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
	}
	t.Fatalf("there is no metric %s", name)
	return 0
}

// TestFT032_Suspended: a process that stands still for a while, as that of a
// virtual machine that is moved, goes on where it was.
func TestFT032_Suspended(t *testing.T) {
	b := serve(t, "", nil)
	p := start(t, settings{}, route("r", "/", ir.Rule{}, ir.ProtocolHTTP, b.address())...)
	l := put(t, "POST", p.url("/"))
	for range 3 {
		l.more(50)
		signal(t, p, syscall.SIGSTOP)
		<-time.After(time.Second) // what is tested
		signal(t, p, syscall.SIGCONT)
	}
	l.more(50)
	all := l.stop()
	for _, a := range failed(all) {
		t.Errorf("%+v", a)
	}
	onceOnly(t, b)
}

func signal(t *testing.T, p *proxy, s syscall.Signal) {
	t.Helper()
	if err := p.command.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
}

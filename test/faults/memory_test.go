package faults

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/citoroute/citoroute/internal/ir"
)

// within has a process run in a control group that may use so many bytes, as a
// container does.
func within(t *testing.T, limit int) settings {
	t.Helper()
	group, file := filepath.Join("/sys/fs/cgroup/memory", "citoroute-faults-"+strconv.Itoa(os.Getpid())), "memory.limit_in_bytes"
	if _, err := os.Stat("/sys/fs/cgroup/cgroup.controllers"); err == nil { // version 2
		group, file = filepath.Join("/sys/fs/cgroup", filepath.Base(group)), "memory.max"
	}
	if err := os.Mkdir(group, 0o700); err != nil {
		t.Skipf("no control group can be made: %v", err)
	}
	t.Cleanup(func() { eventually(t, "the control group to be gone", func() bool { return os.Remove(group) == nil }) })
	if err := os.WriteFile(filepath.Join(group, file), []byte(strconv.Itoa(limit)), 0o600); err != nil {
		t.Skipf("no control group has a limit: %v", err)
	}
	enter := fmt.Sprintf(`echo $$ >%s/cgroup.procs && exec "$@"`, group)
	return settings{wrap: []string{"sh", "-c", enter, "sh", "env", "GOMEMLIMIT=" + strconv.Itoa(limit*9/10)}}
}

// TestFT030_LittleMemory: clients that want more memory than there is are told so,
// and everybody else is served. Who is killed for it nevertheless is back soon, with
// its configuration.
func TestFT030_LittleMemory(t *testing.T) {
	release := make(chan struct{})
	begun := make(chan string, 100)
	provider := serve(t, "", func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		begun <- ""
		<-release
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"id":"1","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"finish_reason":"stop",`+
			`"message":{"role":"assistant","content":"done"}}],"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}}`)
	})
	unread := peer(t, func(c *net.TCPConn) { <-release }) // reads no body
	llm := route("llm", "/v1", ir.Rule{LLM: &ir.LLMAction{}}, ir.ProtocolHTTP, provider.address())
	llm[1].(*ir.Backend).LLM = &ir.LLMProvider{Provider: "openai", Host: "a", BasePath: "/v1"}
	p := start(t, within(t, 64<<20), slices.Concat(llm, route("unread", "/unread", ir.Rule{}, ir.ProtocolHTTP, unread),
		[]ir.Resource{direct("/direct", "one")})...)
	const idle, slow, large = 500, 50, 40
	upload := []byte("POST /unread HTTP/1.1\r\nHost: a\r\nContent-Length: 10000000\r\n\r\n" + strings.Repeat("x", 10_000_000))
	for i := range idle + slow {
		c := dial(t, p.address())
		if i < slow {
			go func() { _, _ = c.Write(upload) }()
		}
	}
	body := []byte(`{"model":"m","messages":[{"role":"user","content":"` + strings.Repeat("word ", 800_000) + `"}]}`)
	answers := make(chan answer, large)
	for range large {
		go func() {
			status, body := post(t, new(http.Transport), p.url("/v1/chat/completions"), body)
			answers <- answer{"", string(body), status}
		}()
	}
	await(t, begun, "")
	if a := <-answers; !turnedAway(a) {
		t.Errorf("got %d %.200q", a.status, a.body)
	}
	for range 100 {
		if got := p.body("/direct"); got != "one" {
			t.Fatalf("another client got %q", got)
		}
	}
	close(release)
	served := 0
	for range large - 1 {
		switch a := <-answers; {
		case a.status == http.StatusOK && strings.Contains(a.body, "done"):
			served++
		case !turnedAway(a):
			t.Errorf("got %d %.200q", a.status, a.body)
		}
	}
	if served == 0 {
		t.Error("nobody was served")
	}
	select {
	case <-p.done:
		t.Fatalf("it ended: %v", p.err)
	default:
	}
	p.kill()
	p.launch()
	eventually(t, "the proxy to be back", p.ready)
	if got := p.body("/direct"); got != "one" {
		t.Errorf("afterwards: got %q", got)
	}
	t.Logf("%d of %d large requests were served", served, large)
}

// turnedAway says that there was no room for a request. A client that is still
// sending then may not read the answer.
func turnedAway(a answer) bool {
	return a.status == http.StatusServiceUnavailable ||
		a.status == 0 && (strings.Contains(a.body, "broken pipe") || strings.Contains(a.body, "connection reset"))
}

package standalone

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/citoroute/citoroute/internal/fakellm"
)

// accounted is a gateway in front of the fake providers, and what its clients
// have seen.
type accounted struct {
	*running
	fake   *fakellm.Server
	gw     netip.AddrPort
	failed atomic.Uint64
	heard  sync.Map // by X-Request-Id: closed when the fake has the whole request

	mu   sync.Mutex
	seen map[string]float64 // requests by what the client got: "status outcome"
}

// failover is a route whose first backend never answers well.
const failover = `---
apiVersion: citoroute.io/v1alpha1
kind: LLMRoute
metadata:
  name: failover
spec:
  parentRefs:
  - name: providers
  path:
    value: /failover
  backendRefs:
  - name: flaky
    weight: 8
  - name: anthropic
  - name: bedrock
---
apiVersion: citoroute.io/v1alpha1
kind: LLMBackend
metadata:
  name: flaky
spec:
  provider: OpenAI
  endpoint: http://127.0.0.1:9090/flaky/v1
  credentialsRef:
    name: openai
`

func newAccounted(t *testing.T) *accounted {
	t.Helper()
	faults := []string{"status=500", "status=429", "cut-after=0", "status=503 plain", "error-after=0"}
	a := &accounted{fake: fakellm.New(fakellm.Options{}), seen: map[string]float64{}}
	port := backend(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c, ok := a.heard.Load(r.Header.Get("X-Request-Id")); ok {
			r.Body = &telling{ReadCloser: r.Body, whole: c.(chan struct{})}
		}
		if path, flaky := strings.CutPrefix(r.URL.Path, "/flaky"); flaky {
			r.URL.Path = path
			r.Header.Set("X-Fake", faults[a.failed.Add(1)%uint64(len(faults))])
		}
		a.fake.ServeHTTP(w, r)
	}))
	manifests, err := os.ReadFile("../../examples/providers/providers.yaml")
	if err != nil {
		t.Fatal(err)
	}
	a.running = serve(t, map[string]string{"providers.yaml": strings.ReplaceAll(string(manifests)+failover, "9090", port)})
	var ok bool
	if a.gw, ok = a.Addr(8080); !ok {
		t.Fatal("nothing is served")
	}
	return a
}

// telling closes whole when it has been read to its end.
type telling struct {
	io.ReadCloser
	whole chan struct{}
	once  sync.Once
}

func (b *telling) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err == io.EOF {
		b.once.Do(func() { close(b.whole) })
	}
	return n, err
}

// ask is one request to make: body has the model, the prompt and whether to
// stream, in this order.
type ask struct {
	path, model string
	body        func(model, prompt string, stream bool) string
}

func asks() []ask {
	chat := func(model, prompt string, stream bool) string {
		return fmt.Sprintf(`{"model":%q,"messages":[{"role":"user","content":%q}],"stream":%v}`, model, prompt, stream)
	}
	messages := func(model, prompt string, stream bool) string {
		return fmt.Sprintf(`{"model":%q,"max_tokens":2000,"messages":[{"role":"user","content":%q}],"stream":%v}`, model, prompt, stream)
	}
	responses := func(model, prompt string, stream bool) string {
		return fmt.Sprintf(`{"model":%q,"input":%q,"stream":%v}`, model, prompt, stream)
	}
	return []ask{
		{"/openai/v1/chat/completions", "fake-a", chat},
		{"/openai/v1/chat/completions", "fake-b", chat},
		{"/openai/v1/messages", "fake-a", messages},
		{"/openai/v1/responses", "fake-b", responses},
		{"/anthropic/v1/chat/completions", "m", chat},
		{"/anthropic/v1/messages", "m", messages},
		{"/anthropic/v1/responses", "m", responses},
		{"/failover/v1/chat/completions", "m", chat},
		{"/failover/v1/messages", "m", messages},
		{"/bedrock/v1/chat/completions", "m", chat},
		{"/bedrock/v1/messages", "m", messages},
		{"/bedrock/v1/responses", "m", responses},
	}
}

// orders are what the fake is told to do, most of it only for streams.
func orders(stream bool) []string {
	always := []string{"", "", "cached=2", "think", "think cached=1", "status=400", "status=429 retry-after=1", "status=500", "status=529", "status=503 plain"}
	if stream {
		always = append(always, "error-after=0", "error-after=2", "cut-after=0", "cut-after=2", "end-after=0", "end-after=2")
	}
	return always
}

// send makes request n and notes what came of it.
func (a *accounted) send(n int, rnd *rand.Rand) error {
	q := asks()[rnd.IntN(len(asks()))]
	stream := rnd.IntN(2) == 0
	prompt := strings.TrimSpace(strings.Repeat("word ", 1+rnd.IntN(40)))
	switch {
	case n%10 == 0 && stream:
		return a.leave(q.path, q.body(q.model, prompt+" [fake hang-after=2]", true))
	case n%10 == 0:
		return a.giveUp(fmt.Sprint(n), q.path, q.body(q.model, prompt+" [fake wait=1h]", false))
	case n%10 == 1:
		return a.read(q.path, `{"model":1}`) // which reaches no provider
	}
	of := orders(stream)
	return a.read(q.path, q.body(q.model, prompt+" [fake "+of[rnd.IntN(len(of))]+"]", stream))
}

func (a *accounted) post(ctx context.Context, path, body string, header map[string]string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+a.gw.String()+path, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	for name, value := range header {
		req.Header.Set(name, value)
	}
	return http.DefaultClient.Do(req)
}

// read makes a request and reads the answer to its end.
func (a *accounted) read(path, body string) error {
	resp, err := a.post(a.t.Context(), path, body, nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	outcome := "ok"
	if resp.StatusCode >= 400 || strings.Contains(string(b), `"error":{`) || strings.Contains(string(b), `{"type":"error"`) {
		outcome = "error"
	}
	a.note(fmt.Sprint(resp.StatusCode, " ", outcome))
	return nil
}

// leave goes away in the middle of a stream, when all has come that the fake sends.
func (a *accounted) leave(path, body string) error {
	ctx, cancel := context.WithCancel(a.t.Context())
	defer cancel()
	resp, err := a.post(ctx, path, body, nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() {
		if strings.Contains(lines.Text(), `said:`) { // the second word
			a.note("200 cancelled")
			return nil
		}
	}
	a.note(fmt.Sprint(resp.StatusCode, " error")) // no backend has answered: such a stream has no good end
	return lines.Err()
}

// giveUp goes away while the fake thinks about the answer.
func (a *accounted) giveUp(id, path, body string) error {
	ctx, cancel := context.WithCancel(a.t.Context())
	defer cancel()
	whole := make(chan struct{})
	a.heard.Store(id, whole)
	go func() {
		<-whole
		cancel()
	}()
	if resp, err := a.post(ctx, path, body, map[string]string{"X-Request-Id": id}); err == nil {
		resp.Body.Close()
		return fmt.Errorf("%s: status %d instead of a wait", path, resp.StatusCode)
	}
	a.note("499 cancelled")
	return nil
}

func (a *accounted) note(what string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.seen[what]++
}

// total adds up a counter by the values of some of its labels.
func total(t *testing.T, g prometheus.Gatherer, name string, by ...string) map[string]float64 {
	t.Helper()
	families, err := g.Gather()
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]float64{}
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			value := map[string]string{}
			for _, l := range m.GetLabel() {
				value[l.GetName()] = l.GetValue()
			}
			var key []string
			for _, label := range by {
				key = append(key, value[label])
			}
			out[strings.Join(key, " ")] += m.GetCounter().GetValue()
		}
	}
	return out
}

// TestMetrics_EqualTheProvidersAccount holds the counters of 1,000 mixed
// requests against what the providers have served and what the clients have
// seen. The rule by which they are equal, to the token: what a provider has
// told before its answer ended, whoever ended it, is counted.
func TestMetrics_EqualTheProvidersAccount(t *testing.T) {
	const requests, clients = 1000, 16
	a := newAccounted(t)
	var group sync.WaitGroup
	for c := range clients {
		group.Go(func() {
			rnd := rand.New(rand.NewPCG(1, uint64(c)))
			for n := c; n < requests; n += clients {
				if err := a.send(n, rnd); err != nil {
					t.Errorf("request %d: %v", n, err)
				}
			}
		})
	}
	group.Wait()
	registry := a.opts.Observe.Registry()
	attempts := 0.0
	await(func() bool { // both count when an answer has ended, the client is gone by then
		if total(t, registry, "citoroute_llm_requests_total")[""] != requests {
			return false
		}
		attempts = total(t, registry, "citoroute_llm_attempts_total")[""]
		booked := 0
		for _, account := range a.fake.Accounts() {
			booked += account.Requests
		}
		return float64(booked) == attempts
	})
	t.Logf("%v attempts for %d requests; clients saw %v", attempts, requests, a.seen)
	if attempts <= requests-requests/10 { // as many reach no provider
		t.Errorf("%v attempts: no request has failed over", attempts)
	}
	if diff := cmp.Diff(a.seen, total(t, registry, "citoroute_llm_requests_total", "status", "outcome")); diff != "" {
		t.Errorf("requests: -clients +metrics:\n%s", diff)
	}
	outcomes, tokens := map[string]float64{}, map[string]float64{}
	for provider, account := range a.fake.Accounts() {
		outcomes[provider+" ok"] = float64(account.OK)
		outcomes[provider+" error"] = float64(account.Failed + account.Broken)
		outcomes[provider+" cancelled"] = float64(account.Cancelled)
		for model, n := range account.ByModel {
			for kind, count := range map[string]int{"input": n.Input, "output": n.Output, "cached_input": n.Cached, "reasoning": n.Reasoning} {
				if count > 0 {
					tokens[provider+" "+model+" "+kind] = float64(count)
				}
			}
		}
	}
	if diff := cmp.Diff(outcomes, total(t, registry, "citoroute_llm_attempts_total", "provider", "outcome")); diff != "" {
		t.Errorf("attempts: -providers +metrics:\n%s", diff)
	}
	if assumed := total(t, registry, "citoroute_llm_assumed_tokens_total", "provider"); len(assumed) != 3 {
		t.Errorf("nothing is assumed of streams that were not counted to their end: %v", assumed)
	}
	if diff := cmp.Diff(tokens, total(t, registry, "citoroute_llm_tokens_total", "provider", "model", "type")); diff != "" {
		t.Errorf("tokens: -providers +metrics:\n%s", diff)
	}
}

// await waits until what is asked for is so; it gives up without failing.
func await(so func() bool) {
	look, timeout := time.NewTicker(10*time.Millisecond), time.After(10*time.Second)
	defer look.Stop()
	for !so() {
		select {
		case <-look.C:
		case <-timeout:
			return
		}
	}
}

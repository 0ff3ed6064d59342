package standalone

import (
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/citoroute/citoroute/internal/fakellm"
	"github.com/citoroute/citoroute/internal/porttest"
)

// pair is a gateway with a route to two fake providers: first, which
// misbehaves, and second, which does not.
const pair = `apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: gw}
spec:
  gatewayClassName: citoroute
  listeners: [{name: http, protocol: HTTP, port: 8080}]
---
apiVersion: citoroute.io/v1alpha1
kind: LLMRoute
metadata: {name: chat}
spec:
  parentRefs: [{name: gw}]
  backendRefs:
  - {name: first}
  - {name: second, priority: %d}
  failover: {firstTokenTimeout: %s}
---
apiVersion: citoroute.io/v1alpha1
kind: LLMBackend
metadata: {name: first}
spec:
  provider: OpenAI
  endpoint: http://127.0.0.1:%s/v1
  timeout: %s
  credentialsRef: {name: openai}
---
apiVersion: citoroute.io/v1alpha1
kind: LLMBackend
metadata: {name: second}
spec:
  provider: Anthropic
  endpoint: http://127.0.0.1:%s
  credentialsRef: {name: anthropic}
---
apiVersion: v1
kind: Secret
metadata: {name: openai}
stringData: {apiKey: sk-fake-openai}
---
apiVersion: v1
kind: Secret
metadata: {name: anthropic}
stringData: {apiKey: sk-ant-fake}
`

// storm is many clients at once, and what they saw.
type storm struct {
	*running
	first, second *fakellm.Server
	url           string

	ok, broken, attempts atomic.Int64
}

// newStorm starts both providers; orders is what first is told for every
// request, "dead" that there is nobody at its port. Its timeout is as long as
// firstToken.
func newStorm(t *testing.T, orders, firstToken string, priority int) *storm {
	t.Helper()
	s := &storm{first: fakellm.New(fakellm.Options{}), second: fakellm.New(fakellm.Options{})}
	port := ""
	if orders == "dead" {
		port = strconv.Itoa(int(porttest.Free(t)))
	} else {
		port = backend(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			r.Header.Set("X-Fake", orders)
			s.first.ServeHTTP(w, r)
		}))
	}
	s.running = serve(t, map[string]string{"pair.yaml": fmt.Sprintf(pair, priority, firstToken, port, firstToken, backend(t, s.second))})
	addr, ok := s.Addr(8080)
	if !ok {
		t.Fatal("nothing is served")
	}
	s.url = "http://" + addr.String() + "/v1/chat/completions"
	return s
}

// run has clients send a stream and a whole request each, all of them at once.
func (s *storm) run(clients int) {
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: clients}}
	defer client.CloseIdleConnections()
	begin := make(chan struct{})
	var group sync.WaitGroup
	for range clients {
		group.Go(func() {
			<-begin
			for _, stream := range []bool{true, false} {
				if err := s.ask(client, stream); err != nil {
					s.t.Error(err)
				}
			}
		})
	}
	close(begin)
	group.Wait()
}

func (s *storm) ask(client *http.Client, stream bool) error {
	body := fmt.Sprintf(`{"model":"m","stream":%v,"messages":[{"role":"user","content":"one two three four"}]}`, stream)
	req, err := http.NewRequestWithContext(s.t.Context(), http.MethodPost, s.url, strings.NewReader(body))
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	n, err := strconv.Atoi(resp.Header.Get("X-Llm-Attempts"))
	if err != nil {
		return err
	}
	s.attempts.Add(int64(n))
	got := string(b)
	ended, failed := strings.HasSuffix(got, "data: [DONE]\n\n"), strings.Contains(got, `{"error":{`)
	switch {
	case resp.StatusCode != http.StatusOK, failed && ended, stream && !failed && !ended, !stream && failed:
		return fmt.Errorf("%d by %s after %d attempts, stream %v: %s", resp.StatusCode, resp.Header.Get("X-Llm-Backend"), n, stream, got)
	case failed:
		s.broken.Add(1)
	default:
		s.ok.Add(1)
	}
	return nil
}

// check holds the metrics against the providers' accounts.
func (s *storm) check(requests int64, dead bool) {
	s.t.Helper()
	booked := func(f *fakellm.Server, provider string) fakellm.Account { return f.Accounts()[provider] }
	registry := s.opts.Observe.Registry()
	await(func() bool { // an answer is counted when it has ended, which may be a moment after the client has it
		return total(s.t, registry, "citoroute_llm_requests_total")[""] == float64(requests) &&
			(dead || booked(s.first, "openai").Requests+booked(s.second, "anthropic").Requests == int(s.attempts.Load()))
	})
	first, second := booked(s.first, "openai"), booked(s.second, "anthropic")
	want := map[string]float64{"llm/default/second ok": float64(second.OK)}
	if first.OK > 0 {
		want["llm/default/first ok"] = float64(first.OK)
	}
	if n := first.Failed + first.Broken + first.Cancelled; n > 0 {
		want["llm/default/first error"] = float64(n)
	}
	if dead {
		want["llm/default/first error"] = float64(s.attempts.Load()) - float64(second.Requests)
	}
	if diff := cmp.Diff(want, total(s.t, registry, "citoroute_llm_attempts_total", "backend", "outcome")); diff != "" {
		s.t.Errorf("attempts: -providers +metrics:\n%s", diff)
	}
	seen := map[string]float64{"ok": float64(s.ok.Load())}
	if n := s.broken.Load(); n > 0 {
		seen["error"] = float64(n)
	}
	if diff := cmp.Diff(seen, total(s.t, registry, "citoroute_llm_requests_total", "outcome")); diff != "" {
		s.t.Errorf("requests: -clients +metrics:\n%s", diff)
	}
	tokens := map[string]float64{
		"input": float64(first.Reported.Input + second.Reported.Input), "output": float64(first.Reported.Output + second.Reported.Output),
	}
	if diff := cmp.Diff(tokens, total(s.t, registry, "citoroute_llm_tokens_total", "type")); diff != "" {
		s.t.Errorf("tokens: -providers +metrics:\n%s", diff)
	}
	s.t.Logf("%d ok, %d broken in the middle; first %+v, second %+v", s.ok.Load(), s.broken.Load(), first, second)
}

// TestFT043_OneProviderFails has one of two backends fail in every way that there
// is. No client may notice but those whose stream had begun: they are told so, and
// nobody else is asked then. What providers have counted, and no more, is counted.
func TestFT043_OneProviderFails(t *testing.T) {
	const clients = 200
	for name, test := range map[string]struct {
		orders     string
		firstToken string
		priority   int  // of the second
		midway     bool // streams may break off
	}{
		"Dead":            {"dead", "1m", 1, false},
		"DeadByWeight":    {"dead", "1m", 0, false},
		"Throttled":       {"status=429 retry-after=2", "1m", 1, false},
		"Overloaded":      {"status=529", "1m", 1, false},
		"KeyRevoked":      {"status=401", "1m", 1, false},
		"Slow":            {"wait=1h", "3s", 1, false},
		"SlowByWeight":    {"wait=1h", "3s", 0, false},
		"SlowFirstToken":  {"hang-after=0", "3s", 1, false},
		"ErrorAtOnce":     {"error-after=0", "1m", 1, false},
		"CutAtOnce":       {"cut-after=0", "1m", 1, false},
		"EndsAtOnce":      {"end-after=0", "1m", 1, false},
		"ErrorMidStream":  {"error-after=2 pace=20ms", "1m", 1, true},
		"CutMidStream":    {"cut-after=2 pace=20ms", "1m", 0, true},
		"SilentMidStream": {"hang-after=2", "3s", 1, true},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStorm(t, test.orders, test.firstToken, test.priority)
			s.run(clients)
			s.check(2*clients, test.orders == "dead")
			if n := s.broken.Load(); (n > 0) != test.midway || n > clients {
				t.Errorf("%d streams broke off", n)
			}
		})
	}
}

// TestFT043_AllProvidersFail: the last one's failure is told, clearly and with
// nothing of a credential, and each was asked once.
func TestFT043_AllProvidersFail(t *testing.T) {
	for name, test := range map[string]struct {
		orders string
		status int
		says   string
	}{
		"Throttled":  {"status=429 retry-after=2", http.StatusTooManyRequests, "rate_limit"},
		"Overloaded": {"status=529", http.StatusServiceUnavailable, "overloaded"},
		"KeyRevoked": {"status=401", http.StatusBadGateway, "credential"},
		"CutAtOnce":  {"cut-after=0", http.StatusBadGateway, "broke off"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStorm(t, "", "1m", 1)
			body := fmt.Sprintf(`{"model":"m","stream":true,"messages":[{"role":"user","content":"[fake %s] one two"}]}`, test.orders)
			resp, err := http.Post(s.url, "application/json", strings.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			b, err := io.ReadAll(resp.Body)
			if err != nil {
				t.Fatal(err)
			}
			got := string(b)
			if resp.StatusCode != test.status || !strings.Contains(got, test.says) || strings.Contains(got, "sk-") || resp.Header.Get("X-Llm-Attempts") != "2" {
				t.Errorf("%d after %s attempts: %s", resp.StatusCode, resp.Header.Get("X-Llm-Attempts"), got)
			}
			if first, second := s.first.Accounts()["openai"], s.second.Accounts()["anthropic"]; first.Requests != 1 || second.Requests != 1 {
				t.Errorf("asked %d and %d times", first.Requests, second.Requests)
			}
		})
	}
}

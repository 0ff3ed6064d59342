package standalone

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/common/expfmt"

	"github.com/citoroute/citoroute/internal/fakellm"
	"github.com/citoroute/citoroute/internal/proxy/observe"
)

// rounds is how many requests each client of TestForeign sends.
var rounds = flag.Int("rounds", 20, "requests of each client of TestForeign_NobodyGetsAnothersBytes")

const foreignClients = 16

// crowd is clients whose every request bears marks of its own, in all that a
// client may say, and a gateway that is to keep them apart.
type crowd struct {
	t *testing.T
	*observed
	mirrored atomic.Int64
}

// ticket is one request of the crowd.
type ticket struct{ client, round int }

func (k ticket) mark() string     { return fmt.Sprintf("w%dr%dz", k.client, k.round) }
func (k ticket) model() string    { return fmt.Sprintf("model-%d", k.client) }
func (k ticket) consumer() string { return fmt.Sprintf("team-%d", k.client%4) }
func (k ticket) trace() string {
	return fmt.Sprintf("00-%016x%016x-00000000000000ff-01", k.client+1, k.round)
}

// key is the API key of a client.
func key(client int) string {
	return fmt.Sprintf("citoroute_key-of-client-%d-0123456789abcdef", client)
}

var marks = regexp.MustCompile(`w\d+r\d+z|model-\d+|team-\d+`)

// own says what is wrong where b has marks of another request, or bytes of
// memory that was given back.
func (k ticket) own(where string, b []byte) error {
	for _, at := range marks.FindAllIndex(b, -1) {
		switch string(b[at[0]:at[1]]) {
		case k.mark(), k.model(), k.consumer():
		default:
			return fmt.Errorf("%s of %s has %q", where, k.mark(), b[max(at[0]-80, 0):min(at[1]+80, len(b))])
		}
	}
	if i := bytes.Index(b, []byte{0xDB, 0xDB}); i >= 0 {
		return fmt.Errorf("%s of %s has memory that was given back: %q", where, k.mark(), b[max(i-80, 0):min(i+80, len(b))])
	}
	return nil
}

// text is what is said: of all lengths, with and without escapes.
func (k ticket) text() string {
	unit := k.mark() + []string{" and ", " \"said\"\n", " é ", " - "}[k.round%4]
	most := []int{3000, 1, 40, 400, 10, 100}[k.round%6] // the first are never streamed
	return strings.Repeat(unit, 1+k.client*k.round*k.round%most) + k.mark()
}

// crowdRoutes are where the crowd's requests go: to each provider alone, and to one
// that misbehaves with the others behind it.
const crowdRoutes = `
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: gw}
spec:
  gatewayClassName: citoroute
  listeners: [{name: http, protocol: HTTP, port: 8080}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: plain}
spec:
  parentRefs: [{name: gw}]
  rules:
  - matches: [{path: {type: PathPrefix, value: /plain}}]
    filters:
    - {type: RequestMirror, requestMirror: {backendRef: {name: mirror, port: 80}}}
    - {type: URLRewrite, urlRewrite: {path: {type: ReplacePrefixMatch, replacePrefixMatch: /p}}}
    backendRefs: [{name: plain, port: 80}]
  - matches: [{path: {type: PathPrefix, value: /plain/h2}}]
    backendRefs: [{name: plain-h2, port: 80}]
`

func object(kind, name, rest string) string {
	version := map[string]string{"Service": "v1", "Secret": "v1", "EndpointSlice": "discovery.k8s.io/v1"}[kind]
	if version == "" {
		version = "citoroute.io/v1alpha1"
	}
	return fmt.Sprintf("---\napiVersion: %s\nkind: %s\nmetadata: {name: %s, labels: {kubernetes.io/service-name: %s}}\n%s\n", version, kind, name, name, rest)
}

func crowdManifests(good, bad, plain, mirror string) string {
	var b strings.Builder
	b.WriteString(crowdRoutes)
	for name, port := range map[string]string{"plain": plain, "plain-h2": plain, "mirror": mirror} {
		protocol := "http"
		if name == "plain-h2" {
			protocol = "kubernetes.io/h2c"
		}
		b.WriteString(object("Service", name, "spec: {ports: [{port: 80, appProtocol: "+protocol+"}]}"))
		b.WriteString(object("EndpointSlice", name, "addressType: IPv4\nendpoints: [{addresses: [127.0.0.1]}]\nports: [{port: "+port+"}]"))
	}
	const wild = `models: ["model-*"], model: "eu.model-*"`
	for name, refs := range map[string]string{
		"openai": "{name: openai}", "anthropic": "{name: anthropic}", "bedrock": "{name: bedrock, " + wild + "}",
		"shaky": "{name: shaky, models: [\"model-*\"]}, {name: anthropic, models: [\"model-*\"], priority: 1}, {name: bedrock, priority: 2, " + wild + "}",
	} {
		b.WriteString(object("LLMRoute", name, "spec:\n  parentRefs: [{name: gw}]\n  contentLog: {}\n  path: {value: /"+name+"}\n"+
			"  consumerRefs: [{name: team-0}, {name: team-1}, {name: team-2}, {name: team-3}]\n  backendRefs: ["+refs+"]"))
	}
	base := "endpoint: http://127.0.0.1:"
	for name, spec := range map[string]string{
		"openai": "provider: OpenAI, " + base + good + "/v1", "anthropic": "provider: Anthropic, " + base + good,
		"bedrock": "provider: Bedrock, model: fake, bedrock: {region: eu-central-1}, " + base + good, "shaky": "provider: OpenAI, " + base + bad + "/v1",
	} {
		b.WriteString(object("LLMBackend", name, "spec: {"+spec+", credentialsRef: {name: "+name+"}}"))
	}
	for name, data := range map[string]string{
		"openai": "apiKey: " + fakellm.OpenAIKey, "shaky": "apiKey: " + fakellm.OpenAIKey, "anthropic": "apiKey: " + fakellm.AnthropicKey,
		"bedrock": "accessKeyID: " + fakellm.AccessKeyID + ", secretAccessKey: " + fakellm.SecretAccessKey,
	} {
		b.WriteString(object("Secret", name, "stringData: {"+data+"}"))
	}
	keys := map[string]string{}
	for client := range foreignClients {
		hash := sha256.Sum256([]byte(key(client)))
		keys[ticket{client, 0}.consumer()] += fmt.Sprintf("key-%d: %s, ", client, hex.EncodeToString(hash[:]))
	}
	for name, data := range keys {
		b.WriteString(object("Consumer", name, "spec: {apiKeys: {secretRef: {name: "+name+"}}}"))
		b.WriteString(object("Secret", name, "stringData: {"+data+"}"))
	}
	return b.String()
}

// guard stands before a backend: what comes must be of one request, by the
// identifier in its header.
func (c *crowd) guard(next http.Handler, orders func(ticket) string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var k ticket
		if _, err := fmt.Sscanf(r.Header.Get("X-Request-Id"), "id-w%dr%dz", &k.client, &k.round); err != nil {
			c.t.Errorf("X-Request-Id %q: %v", r.Header.Get("X-Request-Id"), err)
		}
		order := orders(k)
		if order == "deaf" { // it has answered before it has all of the request
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return // the client has left
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		if err := errors.Join(k.own("path", []byte(r.URL.String())), k.own("header", fmt.Append(nil, r.Header)), k.own("request", body)); err != nil {
			c.t.Error(err)
		}
		r.Header.Set("X-Fake", order)
		next.ServeHTTP(signed{w, k}, r)
	})
}

// signed puts the mark of a request on its answer.
type signed struct {
	http.ResponseWriter
	ticket
}

func (s signed) WriteHeader(status int) {
	h := s.Header()
	h.Set("X-Request-Id", "answer-"+s.mark())
	h.Set("X-Amzn-Requestid", "answer-"+s.mark())
	if status >= http.StatusBadRequest { // by chance it is one of the gateway's own
		h.Set("X-Amzn-Errortype", "upstream_invalid")
	}
	s.ResponseWriter.WriteHeader(status)
}

func (s signed) Unwrap() http.ResponseWriter { return s.ResponseWriter }

func newCrowd(t *testing.T, options observe.Options) *crowd {
	t.Helper()
	c := &crowd{t: t, observed: &observed{}}
	fake := fakellm.New(fakellm.Options{})
	good := backend(t, c.guard(fake, func(k ticket) string { return []string{"", "", "", "status=429", "think", ""}[k.round%6] }))
	bad := backend(t, c.guard(fake, func(k ticket) string {
		return []string{"status=500", "", "cut-after=2", "status=529 plain", "", "deaf", "error-after=0", "end-after=3", ""}[k.round/5%9]
	}))
	plain := bothVersions(t, c.guard(http.HandlerFunc(describe), func(ticket) string { return "" }))
	mirror := backend(t, c.guard(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { c.mirrored.Add(1) }), func(ticket) string { return "" }))
	options.AccessLog = &c.log
	observer := observe.New(options)
	c.close = sync.OnceFunc(observer.Close)
	t.Cleanup(c.close)
	c.running = serveWith(t, map[string]string{"crowd.yaml": crowdManifests(good, bad, plain, mirror)}, observer)
	return c
}

// bothVersions is backend for a handler that is to speak HTTP/2, too.
func bothVersions(t *testing.T, handler http.Handler) string {
	t.Helper()
	srv := httptest.NewUnstartedServer(handler)
	srv.Config.Protocols = new(http.Protocols)
	srv.Config.Protocols.SetHTTP1(true)
	srv.Config.Protocols.SetUnencryptedHTTP2(true)
	srv.Start()
	t.Cleanup(srv.Close)
	_, port, err := net.SplitHostPort(srv.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// describe answers with what it has got.
func describe(w http.ResponseWriter, r *http.Request) {
	b, err := io.ReadAll(r.Body)
	if err == nil {
		_, _ = fmt.Fprintf(w, "%s %v %s", r.URL, r.Header, b) // a client that left needs no answer
	}
}

// crowdPaths are what clients ask for, in turn.
var crowdPaths = []string{
	"/openai/v1/chat/completions", "/anthropic/v1/chat/completions", "/bedrock/v1/chat/completions", "/shaky/v1/chat/completions",
	"/shaky/v1/messages", "/plain", "/anthropic/v1/responses", "/bedrock/v1/messages", "/shaky/v1/chat/completions", "/openai/v1/responses",
	"/plain/h2",
}

// request is what a ticket's client sends, and whether it waits for the end.
func (k ticket) request(ctx context.Context, base string) (req *http.Request, stays bool, err error) {
	path := crowdPaths[(k.round+k.client)%len(crowdPaths)]
	said, tool := k.text(), "tool_"+k.mark()
	stays = k.round%7 != 6
	switch {
	case !stays:
		said = "[fake pace=3ms wait=3ms] " + said
	case k.round%5 == 4:
		said = "[fake tool=" + tool + "] " + said
	}
	body := map[string]any{"model": k.model(), "stream": k.round%3 != 0 || !stays}
	schema := map[string]any{"type": "object", "properties": map[string]any{"arg_" + k.mark(): map[string]any{"type": "string"}}}
	message := []any{map[string]any{"role": "user", "content": said}}
	switch path[strings.LastIndexByte(path, '/'):] {
	case "/messages":
		body["max_tokens"], body["messages"] = 10_000, message
		body["tools"] = []any{map[string]any{"name": tool, "input_schema": schema}}
	case "/responses":
		body["max_output_tokens"], body["input"] = 10_000, message
		body["tools"] = []any{map[string]any{"type": "function", "name": tool, "parameters": schema, "strict": false}}
	default:
		body["max_completion_tokens"], body["messages"], body["user"] = 10_000, message, "user-"+k.mark()
		body["tools"] = []any{map[string]any{"type": "function", "function": map[string]any{"name": tool, "parameters": schema}}}
	}
	b, err := json.Marshal(body)
	if err != nil {
		return nil, false, err
	}
	if req, err = http.NewRequestWithContext(ctx, http.MethodPost, base+path+"?q="+k.mark(), bytes.NewReader(b)); err != nil {
		return nil, false, err
	}
	for name, value := range map[string]string{
		"Content-Type": "application/json", "Authorization": "Bearer " + key(k.client), "User-Agent": "agent-" + k.mark(),
		"X-Request-Id": "id-" + k.mark(), "Traceparent": k.trace(),
	} {
		req.Header.Set(name, value)
	}
	for _, name := range []string{"X-" + k.mark(), "1" + k.mark()} {
		req.Header[name] = []string{k.mark(), k.mark() + "-" + k.mark()}
	}
	return req, stays, nil
}

// serve sends the request of a ticket and checks the answer.
func (k ticket) send(ctx context.Context, client *http.Client, base string) error {
	ctx, leave := context.WithCancel(ctx)
	defer leave()
	req, stays, err := k.request(ctx, base)
	if err != nil {
		return err
	}
	if !stays {
		timer := time.AfterFunc(time.Duration(k.client%8)*3*time.Millisecond, leave)
		defer timer.Stop()
	}
	resp, err := client.Do(req)
	if err != nil {
		return k.unless(!stays, err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if wrong := errors.Join(k.own("answer's header", fmt.Append(nil, resp.Header)), k.own("answer", b)); wrong != nil {
		return wrong
	}
	if err != nil || !stays {
		return k.unless(!stays, err)
	}
	return k.check(req.URL.Path, resp, b)
}

// ordered is what providers that misbehave say, or are said to have said.
var ordered = regexp.MustCompile(`ordered by the request|the provider answered 503|broke off before its end`)

func (k ticket) unless(fine bool, err error) error {
	if fine || err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", k.mark(), err)
}

// check compares what was answered with what was said.
func (k ticket) check(path string, resp *http.Response, b []byte) error {
	plain := strings.HasPrefix(path, "/plain")
	switch failed := resp.StatusCode != http.StatusOK; {
	case plain && !failed && bytes.Contains(b, []byte(k.mark())), failed && ordered.Match(b):
		return nil // it was not tried elsewhere: see the failover's budget
	case plain, failed:
		return fmt.Errorf("%s %s: %d %.300s", k.mark(), path, resp.StatusCode, b)
	}
	var got heard
	if err := got.answer(resp.Header.Get("Content-Type"), b); err != nil {
		return fmt.Errorf("%s: %w: %.300s", k.mark(), err, b)
	}
	want := heard{text: "You said: " + k.text()}
	if k.round%5 == 4 {
		want = heard{tools: "tool_" + k.mark()}
	}
	if bytes.Contains(b, []byte(`"error":{`)) { // a stream that broke off
		if !strings.HasPrefix(want.text, got.text) || !strings.HasPrefix(want.tools, got.tools) {
			return fmt.Errorf("%s heard %.300q", k.mark(), got)
		}
		return nil
	}
	if got != want {
		return fmt.Errorf("%s %s heard %d bytes %.200q, want %d bytes", k.mark(), path, len(got.text), got, len(want.text))
	}
	return nil
}

// heard is what an answer says, of any protocol.
type heard struct{ text, tools string }

// answer reads a whole answer or a stream.
func (h *heard) answer(kind string, b []byte) error {
	if strings.HasPrefix(kind, "application/json") {
		return h.piece(b)
	}
	for line := range bytes.Lines(b) {
		data, ok := bytes.CutPrefix(line, []byte("data: "))
		if !ok || bytes.HasPrefix(data, []byte("[DONE]")) {
			continue
		}
		if err := h.piece(data); err != nil {
			return err
		}
	}
	return nil
}

type (
	part  struct{ Type, Text, Name string }
	said1 struct {
		Content   string
		ToolCalls []struct{ Function part } `json:"tool_calls"`
	}
)

// piece reads a whole answer or an event.
func (h *heard) piece(b []byte) error {
	var in struct {
		Type    string
		Choices []struct{ Message, Delta said1 }
		Content []part
		Output  []struct {
			part
			Content []part
		}
		Delta        json.RawMessage
		ContentBlock part `json:"content_block"`
		Item         part
	}
	if err := json.Unmarshal(b, &in); err != nil {
		return err
	}
	for _, c := range in.Choices {
		h.text += c.Message.Content + c.Delta.Content
		for _, call := range append(c.Message.ToolCalls, c.Delta.ToolCalls...) {
			h.tools += call.Function.Name
		}
	}
	for _, o := range in.Output {
		h.tools += o.Name
		in.Content = append(in.Content, o.Content...)
	}
	for _, p := range in.Content {
		h.text, h.tools = h.text+p.Text, h.tools+p.Name
	}
	h.tools += in.ContentBlock.Name
	switch in.Type {
	case "response.output_item.added":
		h.tools += in.Item.Name
	case "response.output_text.delta":
		var text string
		err := json.Unmarshal(in.Delta, &text)
		h.text += text
		return err
	case "content_block_delta":
		var p part
		err := json.Unmarshal(in.Delta, &p)
		h.text += p.Text
		return err
	}
	return nil
}

// run sends all that the crowd has to send, half of it over HTTP/2.
func (c *crowd) run() {
	addr, ok := c.Addr(8080)
	if !ok {
		c.t.Fatal("nothing is served")
	}
	var group sync.WaitGroup
	for client := range foreignClients {
		transport := &http.Transport{}
		if client%2 == 1 {
			transport.Protocols = new(http.Protocols)
			transport.Protocols.SetUnencryptedHTTP2(true)
		}
		group.Go(func() {
			defer transport.CloseIdleConnections()
			for round := range *rounds {
				if err := (ticket{client, round}).send(c.t.Context(), &http.Client{Transport: transport}, "http://"+addr.String()); err != nil {
					c.t.Error(err)
				}
			}
		})
	}
	group.Wait()
}

// TestForeign_NobodyGetsAnothersBytes has many clients talk at once, to providers
// that fail, break off and answer too early, and some leave before the end. What
// anyone gets, a provider included, and what is told of a request is its own.
func TestForeign_NobodyGetsAnothersBytes(t *testing.T) {
	collected := newCollector(t)
	tracing, err := observe.NewTracing(t.Context(), collected.http, "", 1)
	if err != nil {
		t.Fatal(err)
	}
	c := newCrowd(t, observe.Options{Tracing: tracing})
	c.run()
	c.stop()
	c.close()
	c.checkLog()
	c.checkSpans(collected)
	c.checkMetrics()
	if c.mirrored.Load() == 0 {
		t.Error("nothing was mirrored")
	}
}

// checkLog: each line is of one request.
func (c *crowd) checkLog() {
	lines := 0
	for line := range bytes.Lines(c.log.Bytes()) {
		lines++
		var in struct {
			Path, Consumer, UserAgent, RequestID string
			LLM                                  *struct{ Asked, Model string }
		}
		if err := json.Unmarshal(line, &in); err != nil {
			c.t.Errorf("%v: %q", err, line)
			continue
		}
		var k ticket
		if _, err := fmt.Sscanf(in.RequestID, "id-w%dr%dz", &k.client, &k.round); err != nil {
			c.t.Errorf("%v: %s", err, line)
			continue
		}
		if err := k.own("line", line); err != nil {
			c.t.Error(err)
		}
		if llm := !strings.HasPrefix(in.Path, "/plain"); in.UserAgent != "agent-"+k.mark() || llm && in.Consumer != "default/"+k.consumer() || in.LLM != nil && in.LLM.Asked != k.model() {
			c.t.Errorf("%s", line)
		}
	}
	if want := foreignClients * *rounds; lines > want || lines < want*9/10 {
		c.t.Errorf("%d lines of %d requests", lines, want)
	}
}

// checkSpans: each span is of one request, by its trace.
func (c *crowd) checkSpans(from *collector) {
	for _, s := range from.spans {
		var k ticket
		if _, err := fmt.Sscanf(hex.EncodeToString(s.GetTraceId()), "%016x%016x", &k.client, &k.round); err != nil {
			c.t.Errorf("%x: %v", s.GetTraceId(), err)
		}
		k.client--
		if err := k.own("span", []byte(s.String())); err != nil {
			c.t.Error(err)
		}
	}
	if len(from.spans) < foreignClients**rounds/2 {
		c.t.Errorf("%d spans", len(from.spans))
	}
}

// checkMetrics: every label is one that there is, and all requests are counted for
// those who sent them.
func (c *crowd) checkMetrics() {
	registry := c.opts.Observe.Registry()
	families, err := registry.Gather()
	if err != nil {
		c.t.Fatal(err)
	}
	var text bytes.Buffer
	for _, f := range families {
		if _, err := expfmt.MetricFamilyToText(&text, f); err != nil {
			c.t.Fatal(err)
		}
	}
	if found := regexp.MustCompile(`w\d+r\d+z|\xDB`).Find(text.Bytes()); found != nil {
		c.t.Errorf("the metrics have %q", found)
	}
	pairs := regexp.MustCompile(`consumer="default/team-(\d+)",[^}]*model="model-(\d+)"`)
	for _, m := range pairs.FindAllStringSubmatch(text.String(), -1) {
		var team, client int
		if _, err := fmt.Sscan(m[1]+" "+m[2], &team, &client); err != nil || client%4 != team || client >= foreignClients {
			c.t.Errorf("%s: %v", m[0], err)
		}
	}
	got := total(c.t, registry, "citoroute_llm_requests_total", "consumer")
	want := map[string]float64{}
	for line := range bytes.Lines(c.log.Bytes()) {
		var in struct{ Consumer string }
		if json.Unmarshal(line, &in) == nil && in.Consumer != "" {
			want[in.Consumer]++
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		c.t.Errorf("requests: -log +metrics:\n%s", diff)
	}
}

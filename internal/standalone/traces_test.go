package standalone

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/common/expfmt"
	collectorpb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/citoroute/citoroute/internal/fakellm"
	"github.com/citoroute/citoroute/internal/proxy/observe"
)

// collector is an OTLP receiver of both protocols.
type collector struct {
	collectorpb.UnimplementedTraceServiceServer
	http, grpc string // base URLs

	mu    sync.Mutex
	spans []*tracepb.Span
	raw   bytes.Buffer
}

func newCollector(t *testing.T) *collector {
	t.Helper()
	c := &collector{}
	c.http, c.grpc = serveOTLP(t, c, func(s *grpc.Server) { collectorpb.RegisterTraceServiceServer(s, c) })
	return c
}

// serveOTLP serves an OTLP receiver by both protocols, and returns their base URLs.
func serveOTLP(t *testing.T, h http.Handler, register func(*grpc.Server)) (byHTTP, byGRPC string) {
	t.Helper()
	ln, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := grpc.NewServer()
	register(srv)
	ended := make(chan error, 1)
	go func() { ended <- srv.Serve(ln) }()
	t.Cleanup(func() {
		srv.Stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return "http://127.0.0.1:" + backend(t, h), "http://" + ln.Addr().String()
}

// Export is the receiver of the protocol grpc.
func (c *collector) Export(ctx context.Context, r *collectorpb.ExportTraceServiceRequest) (*collectorpb.ExportTraceServiceResponse, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, resource := range r.GetResourceSpans() {
		for _, scope := range resource.GetScopeSpans() {
			c.spans = append(c.spans, scope.GetSpans()...)
		}
	}
	b, err := proto.Marshal(r)
	c.raw.Write(b)
	return &collectorpb.ExportTraceServiceResponse{}, err
}

// ServeHTTP is the receiver of http/protobuf.
func (c *collector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b, err := io.ReadAll(r.Body)
	var in collectorpb.ExportTraceServiceRequest
	if err == nil {
		err = proto.Unmarshal(b, &in)
	}
	if err == nil && r.URL.Path == "/v1/traces" {
		_, err = c.Export(r.Context(), &in)
	}
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
	}
}

// observed is a gateway of examples/providers all of whose output is kept.
type observed struct {
	*running
	log    bytes.Buffer
	fields sync.Map // the Traceparent fields that the fake got
	close  func()
}

func newObserved(t *testing.T, options observe.Options) *observed {
	t.Helper()
	o := &observed{}
	fake := fakellm.New(fakellm.Options{})
	port := backend(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		o.fields.Store(r.Header.Get("Traceparent"), true)
		fake.ServeHTTP(w, r)
	}))
	manifests, err := os.ReadFile("../../examples/providers/providers.yaml")
	if err != nil {
		t.Fatal(err)
	}
	options.AccessLog = &o.log
	observer := observe.New(options)
	o.close = sync.OnceFunc(observer.Close)
	t.Cleanup(o.close)
	o.running = serveWith(t, map[string]string{"providers.yaml": strings.ReplaceAll(string(manifests), "9090", port)}, observer)
	return o
}

const caller = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0"

// settled ends the gateway and then its observer: n requests are accounted for.
func (o *observed) settled(n float64) {
	o.t.Helper()
	o.stop()
	o.close()
	if got := total(o.t, o.opts.Observe.Registry(), "citoroute_llm_requests_total")[""]; got != n {
		o.t.Errorf("%v requests counted, want %v", got, n)
	}
}

func TestTraces_ReachTheCollector(t *testing.T) {
	for _, protocol := range []string{observe.ProtocolHTTP, observe.ProtocolGRPC} {
		t.Run(protocol, func(t *testing.T) {
			c := newCollector(t)
			endpoint := c.http
			if protocol == observe.ProtocolGRPC {
				endpoint = c.grpc
			}
			tracing, err := observe.NewTracing(t.Context(), endpoint, protocol, 0)
			if err != nil {
				t.Fatal(err)
			}
			o := newObserved(t, observe.Options{Tracing: tracing})
			send := func(flag, order string) {
				o.send(8080, http.MethodPost, "http://localhost/anthropic/v1/chat/completions",
					map[string]string{"Content-Type": "application/json", "Traceparent": caller + flag},
					`{"model":"m","stream":true,"messages":[{"role":"user","content":"hello [fake `+order+`]"}]}`)
			}
			send("1", "cached=1")
			send("0", "")
			send("1", "status=429")
			o.settled(3)
			checkSpans(t, c, o)
		})
	}
}

func checkSpans(t *testing.T, c *collector, o *observed) {
	t.Helper()
	type span struct{ Name, Parent, Failed, Model, Finish string }
	var got []span
	ids := map[string]string{"b7ad6b7169203331": "caller"}
	for _, s := range c.spans {
		id := hex.EncodeToString(s.GetSpanId())
		if s.GetKind() == tracepb.Span_SPAN_KIND_SERVER {
			ids[id] = "server"
		} else if field := "00-" + hex.EncodeToString(s.GetTraceId()) + "-" + id + "-01"; !o.got(field) {
			t.Errorf("the provider has not got %s", field)
		}
	}
	for _, s := range c.spans {
		if hex.EncodeToString(s.GetTraceId()) != caller[3:35] || s.GetEndTimeUnixNano() < s.GetStartTimeUnixNano() {
			t.Errorf("%v", s)
		}
		values := map[string]string{}
		for _, a := range s.GetAttributes() {
			values[a.GetKey()] = a.GetValue().GetStringValue()
			for _, v := range a.GetValue().GetArrayValue().GetValues() {
				values[a.GetKey()] += v.GetStringValue()
			}
		}
		got = append(got, span{
			s.GetName(), ids[hex.EncodeToString(s.GetParentSpanId())], values["error.type"],
			values["gen_ai.response.model"], values["gen_ai.response.finish_reasons"],
		})
	}
	slices.SortFunc(got, func(a, b span) int { return strings.Compare(a.Name+a.Failed, b.Name+b.Failed) })
	want := []span{
		{"POST LLMRoute/default/anthropic", "caller", "", "", ""},
		{"POST LLMRoute/default/anthropic", "caller", "429", "", ""},
		{"chat fake-large", "server", "", "fake-large", "stop"},
		{"chat fake-large", "server", "429", "", ""},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if !o.got(caller + "0") {
		t.Error("what is not recorded was not passed on as it is")
	}
	if n := total(t, o.opts.Observe.Registry(), "citoroute_trace_spans_total", "result")["exported"]; n != 4 {
		t.Errorf("%v spans counted", n)
	}
}

func (o *observed) got(field string) bool {
	_, ok := o.fields.Load(field)
	return ok
}

// TestLM033_ContentIsNowhere sends a word through the gateway and back, and
// looks for it in everything else that the gateway tells.
func TestLM033_ContentIsNowhere(t *testing.T) {
	const canary = "canary7351"
	c := newCollector(t)
	tracing, err := observe.NewTracing(t.Context(), c.http, "", 1)
	if err != nil {
		t.Fatal(err)
	}
	o := newObserved(t, observe.Options{Tracing: tracing})
	answered := 0
	paths := []string{"/openai/v1/chat/completions", "/anthropic/v1/chat/completions", "/bedrock/v1/chat/completions"}
	orders := []string{"", "status=400", "status=500", "think", "error-after=3", "cut-after=3", "tool=" + canary}
	for _, path := range paths {
		for _, order := range orders {
			for _, stream := range []string{"true", "false"} {
				got := o.send(8080, http.MethodPost, "http://localhost"+path+"?key="+canary, map[string]string{
					"Content-Type": "application/json", "Authorization": "Bearer " + canary, "Cookie": canary,
				}, `{"model":"m","user":"`+canary+`","stream":`+stream+`,"messages":[{"role":"user","content":"`+canary+` x [fake `+order+`]"}]}`)
				answered += strings.Count(got.body, canary)
			}
		}
	}
	refused := []string{ // in words of our own that name the culprit
		`{"model":"m","messages":[{"role":"` + canary + `","content":"x"}]}`,
		`{"model":"m","messages":[],"` + canary + `":1,"` + canary + `":2}`,
		`{"model":"m","messages":[{"role":"user","content":"x"}],"tools":[],"tool_choice":{"type":"function","function":{"name":"` + canary + `"}}}`,
	}
	for _, body := range refused {
		o.send(8080, http.MethodPost, "http://localhost/anthropic/v1/chat/completions", map[string]string{"Content-Type": "application/json"}, body)
	}
	if answered == 0 {
		t.Fatal("the word never came back: the test shows nothing")
	}
	dump, err := json.Marshal(o.Resources())
	if err != nil {
		t.Fatal(err)
	}
	o.settled(float64(len(paths)*len(orders)*2 + len(refused)))
	families, err := o.opts.Observe.Registry().Gather()
	if err != nil {
		t.Fatal(err)
	}
	var metrics bytes.Buffer
	for _, f := range families {
		if _, err := expfmt.MetricFamilyToText(&metrics, f); err != nil {
			t.Fatal(err)
		}
	}
	for name, output := range map[string][]byte{"log": o.log.Bytes(), "metrics": metrics.Bytes(), "spans": c.raw.Bytes(), "dump": dump} {
		if len(output) == 0 || bytes.Contains(output, []byte(canary)) {
			t.Errorf("the %s of %d bytes tell what was said", name, len(output))
		}
	}
}

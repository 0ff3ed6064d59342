package observe

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	resourcepb "go.opentelemetry.io/proto/otlp/resource/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"

	"github.com/citoroute/citoroute/internal/proxy/trace"
)

// Protocols of OTLP, by the names that OTEL_EXPORTER_OTLP_PROTOCOL has for them.
const (
	ProtocolHTTP = "http/protobuf"
	ProtocolGRPC = "grpc"
)

const (
	// spanBacklog is how many spans may wait for the collector. Beyond it spans
	// are dropped and counted: a request never waits.
	spanBacklog = 4096
	// A batch is sent when it is this large or this old.
	spanBatch    = 512
	spanInterval = time.Second
	// uploadTime limits one upload with its repetitions.
	uploadTime = 10 * time.Second
)

// Tracing is where spans go.
type Tracing struct {
	// upload sends spans, within uploadTime; stop ends the connection.
	upload  func([]*tracepb.ResourceSpans) error
	stop    func()
	sampler *trace.Sampler
}

// NewTracing returns a Tracing to the OTLP collector at the base URL endpoint,
// such as http://collector:4318; https wants TLS. protocol is ProtocolHTTP,
// also where empty, or ProtocolGRPC. ratio, 0 to 1, is the share of requests
// that are recorded where the caller has not decided. Header fields,
// certificates and time limits may be set by the OTEL_EXPORTER_OTLP variables
// of the environment. The end of ctx does not end the sending, which
// [Observer.Close] does.
func NewTracing(ctx context.Context, endpoint, protocol string, ratio float64) (*Tracing, error) {
	if err := checkCollector(endpoint); err != nil {
		return nil, err
	}
	if !(ratio >= 0 && ratio <= 1) {
		return nil, fmt.Errorf("the ratio %v is not between 0 and 1", ratio)
	}
	var client otlptrace.Client
	switch protocol {
	case "", ProtocolHTTP:
		client = otlptracehttp.NewClient(otlptracehttp.WithEndpointURL(strings.TrimSuffix(endpoint, "/") + "/v1/traces"))
	case ProtocolGRPC:
		client = otlptracegrpc.NewClient(otlptracegrpc.WithEndpointURL(endpoint))
	default:
		return nil, errProtocol(protocol)
	}
	ctx = context.WithoutCancel(ctx)
	if err := client.Start(ctx); err != nil {
		return nil, fmt.Errorf("reach %s: %w", endpoint, err)
	}
	return &Tracing{
		sampler: trace.NewSampler(ratio),
		stop:    func() { _ = client.Stop(ctx) }, // nothing is left to do with its error
		upload: func(spans []*tracepb.ResourceSpans) error {
			ctx, cancel := context.WithTimeout(ctx, uploadTime)
			defer cancel()
			return client.UploadTraces(ctx, spans)
		},
	}, nil
}

func checkCollector(endpoint string) error {
	u, err := url.Parse(endpoint)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return fmt.Errorf("%q is not a URL like http://collector:4318", endpoint)
	}
	return nil
}

func errProtocol(protocol string) error {
	return fmt.Errorf("the protocol %q is neither %s nor %s", protocol, ProtocolHTTP, ProtocolGRPC)
}

// spanQueue sends spans on a goroutine of its own.
type spanQueue struct {
	to                *Tracing
	resource          *resourcepb.Resource
	spans             chan *tracepb.Span
	exported, dropped prometheus.Counter
	stop, done        chan struct{}
}

func newSpanQueue(to *Tracing, resource *resourcepb.Resource, counts *prometheus.CounterVec) *spanQueue {
	q := &spanQueue{
		to: to, resource: resource, spans: make(chan *tracepb.Span, spanBacklog),
		exported: counts.WithLabelValues("exported"), dropped: counts.WithLabelValues("dropped"),
		stop: make(chan struct{}), done: make(chan struct{}),
	}
	go q.run()
	return q
}

// add queues spans.
func (q *spanQueue) add(spans []*tracepb.Span) {
	for _, s := range spans {
		select {
		case q.spans <- s:
		default:
			q.dropped.Inc()
		}
	}
}

// close sends what is waiting and ends the goroutine.
func (q *spanQueue) close() {
	close(q.stop)
	<-q.done
}

func (q *spanQueue) run() {
	defer close(q.done)
	defer q.to.stop()
	tick := time.NewTicker(spanInterval)
	defer tick.Stop()
	var batch []*tracepb.Span
	for {
		select {
		case s := <-q.spans:
			if batch = append(batch, s); len(batch) < spanBatch {
				continue
			}
		case <-tick.C:
		case <-q.stop:
			for len(q.spans) > 0 {
				batch = append(batch, <-q.spans)
			}
			q.upload(batch)
			return
		}
		q.upload(batch)
		batch = nil
	}
}

func (q *spanQueue) upload(batch []*tracepb.Span) {
	if len(batch) == 0 {
		return
	}
	err := q.to.upload([]*tracepb.ResourceSpans{{
		Resource:   q.resource,
		ScopeSpans: []*tracepb.ScopeSpans{{Scope: &commonpb.InstrumentationScope{Name: "citoroute"}, Spans: batch}},
	}})
	if err != nil {
		q.dropped.Add(float64(len(batch)))
		return
	}
	q.exported.Add(float64(len(batch)))
}

// resourceOf describes this process. OTEL_SERVICE_NAME names it.
func resourceOf(version string) *resourcepb.Resource {
	name := os.Getenv("OTEL_SERVICE_NAME")
	if name == "" {
		name = "citoroute"
	}
	out := attributes{{Key: "service.name", Value: textValue(name)}}
	out.text("service.version", version)
	if host, err := os.Hostname(); err == nil {
		out.text("service.instance.id", host)
	}
	return &resourcepb.Resource{Attributes: out}
}

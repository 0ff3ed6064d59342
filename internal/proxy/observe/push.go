package observe

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	bridge "go.opentelemetry.io/contrib/bridges/prometheus"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetricgrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	"go.opentelemetry.io/otel/sdk/instrumentation"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/resource"
)

// The shortest and the default time from one push of metrics to the next.
const (
	minPushInterval     = time.Second
	defaultPushInterval = time.Minute
)

// Push is where metrics are sent, besides being served.
type Push struct {
	exporter metric.Exporter
	interval time.Duration
	// within limits do to uploadTime.
	within func(do func(context.Context) error) error
}

// NewPush returns a Push to the OTLP collector at the base URL endpoint by
// protocol, as for [NewTracing], once in every interval; 0: a minute. The
// OTEL_EXPORTER_OTLP variables of the environment hold, too. The end of ctx
// does not end the sending, which [Observer.Close] does.
func NewPush(ctx context.Context, endpoint, protocol string, interval time.Duration) (*Push, error) {
	if err := checkCollector(endpoint); err != nil {
		return nil, err
	}
	if interval == 0 {
		interval = defaultPushInterval
	}
	if interval < minPushInterval {
		return nil, fmt.Errorf("the interval %v is shorter than %v", interval, minPushInterval)
	}
	ctx = context.WithoutCancel(ctx)
	p := &Push{interval: interval, within: func(do func(context.Context) error) error {
		ctx, cancel := context.WithTimeout(ctx, uploadTime)
		defer cancel()
		return do(ctx)
	}}
	var err error
	switch protocol {
	case "", ProtocolHTTP:
		p.exporter, err = otlpmetrichttp.New(ctx, otlpmetrichttp.WithEndpointURL(strings.TrimSuffix(endpoint, "/")+"/v1/metrics"))
	case ProtocolGRPC:
		p.exporter, err = otlpmetricgrpc.New(ctx, otlpmetricgrpc.WithEndpointURL(endpoint))
	default:
		err = errProtocol(protocol)
	}
	if err != nil {
		return nil, fmt.Errorf("reach %s: %w", endpoint, err)
	}
	return p, nil
}

// pusher sends what a registry has, on a goroutine of its own.
type pusher struct {
	to           *Push
	from         metric.Producer
	resource     *resource.Resource
	names        map[string]string // of OpenTelemetry, by those of Prometheus
	sent, failed prometheus.Counter
	stop, done   chan struct{}
}

func newPusher(o *Observer, to *Push, version string) *pusher {
	var described []attribute.KeyValue
	for _, a := range resourceOf(version).GetAttributes() {
		described = append(described, attribute.String(a.GetKey(), a.GetValue().GetStringValue()))
	}
	p := &pusher{
		to: to, from: bridge.NewMetricProducer(bridge.WithGatherer(o.registry)),
		resource: resource.NewSchemaless(described...), names: o.metrics.llm.genAI.names,
		sent: o.metrics.pushes.WithLabelValues("sent"), failed: o.metrics.pushes.WithLabelValues("failed"),
		stop: make(chan struct{}), done: make(chan struct{}),
	}
	go p.run()
	return p
}

// close sends the metrics a last time and ends the goroutine.
func (p *pusher) close() {
	close(p.stop)
	<-p.done
}

func (p *pusher) run() {
	defer close(p.done)
	tick := time.NewTicker(p.to.interval)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			p.push()
		case <-p.stop:
			p.push()
			_ = p.to.within(p.to.exporter.Shutdown) // nothing is left to do with its error
			return
		}
	}
}

// push sends the metrics. What fails is sent with the next ones: they are sums.
func (p *pusher) push() {
	if err := p.to.within(p.export); err != nil {
		p.failed.Inc()
		return
	}
	p.sent.Inc()
}

func (p *pusher) export(ctx context.Context) error {
	scopes, err := p.from.Produce(ctx)
	if err != nil {
		return err
	}
	for i := range scopes {
		scopes[i].Scope = instrumentation.Scope{Name: "citoroute"}
		for j := range scopes[i].Metrics {
			p.rename(&scopes[i].Metrics[j])
		}
	}
	return p.to.exporter.Export(ctx, &metricdata.ResourceMetrics{Resource: p.resource, ScopeMetrics: scopes})
}

// rename gives the metrics of the semantic conventions, all of which are
// histograms, the names that they have there; the others keep theirs.
func (p *pusher) rename(m *metricdata.Metrics) {
	name, ok := p.names[m.Name]
	data, histogram := m.Data.(metricdata.Histogram[float64])
	if !ok || !histogram {
		return
	}
	if m.Unit = "{token}"; strings.HasSuffix(m.Name, inSeconds) {
		m.Unit = "s"
	}
	m.Name = name
	for i := range data.DataPoints {
		at := &data.DataPoints[i].Attributes
		*at = conventional(*at)
	}
}

// conventional are attributes by the names of the conventions. What is empty is
// not there.
func conventional(labels attribute.Set) attribute.Set {
	var out []attribute.KeyValue
	for _, l := range labels.ToSlice() {
		name, value := attributeName(string(l.Key)), l.Value.AsString()
		port, err := strconv.ParseInt(value, 10, 64)
		switch {
		case value == "":
		case name == "server.port" && err == nil:
			out = append(out, attribute.Int64(name, port))
		default:
			out = append(out, attribute.String(name, value))
		}
	}
	return attribute.NewSet(out...)
}

// attributeName is the attribute that a label stands for: in Prometheus, dots
// are underscores.
func attributeName(label string) string {
	if rest, ok := strings.CutPrefix(label, "gen_ai_"); ok {
		return "gen_ai." + strings.ReplaceAll(rest, "_", ".")
	}
	return strings.ReplaceAll(label, "_", ".")
}

package observe

import (
	"io"
	"strconv"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/citoroute/citoroute/internal/ir"
	"github.com/citoroute/citoroute/internal/proxy/runtime"
	"github.com/citoroute/citoroute/internal/proxy/trace"
)

// Options of an Observer.
type Options struct {
	// AccessLog gets one JSON line per exchange; nil: no access log.
	AccessLog io.Writer
	// Version is the program's, for citoroute_build_info.
	Version string
	// Tracing is where spans go; nil: nowhere.
	Tracing *Tracing
	// Push is where metrics are sent; nil: nowhere.
	Push *Push
}

// Observer counts and logs exchanges. It is a [runtime.Observer].
type Observer struct {
	registry *prometheus.Registry
	metrics  metrics
	live     *liveMetrics
	log      *accessLog // nil: none
	spans    *spanQueue // nil: none
	push     *pusher    // nil: none
	sampler  *trace.Sampler
	unrouted *series // exchanges that no route has taken

	llmMu sync.Mutex // guards metrics.llm and the LLM series of routes

	mu     sync.Mutex
	routes map[string]*routeMetrics // by ir.Route.Name
}

var _ runtime.Observer = (*Observer)(nil)

// New returns an Observer with its own registry.
func New(opts Options) *Observer {
	o := &Observer{registry: prometheus.NewRegistry(), routes: make(map[string]*routeMetrics)}
	o.metrics, o.live = newMetrics(o.registry), newLiveMetrics(o.registry)
	o.registry.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	o.metrics.build.WithLabelValues(opts.Version).Set(1)
	for _, result := range []string{accepted, rejected} {
		o.metrics.applies.WithLabelValues(result) // so that the first one is seen as an increase
	}
	o.unrouted = &series{vec: o.metrics.requests, duration: o.metrics.duration.WithLabelValues("", "")}
	if opts.AccessLog != nil {
		o.log = newAccessLog(opts.AccessLog, o.metrics.dropped)
	}
	if t := opts.Tracing; t != nil {
		o.spans, o.sampler = newSpanQueue(t, resourceOf(opts.Version), o.metrics.spans), t.sampler
	}
	if opts.Push != nil {
		o.push = newPusher(o, opts.Push, opts.Version)
	}
	return o
}

// Sampler decides which exchanges are recorded in traces; nil: none is.
func (o *Observer) Sampler() *trace.Sampler { return o.sampler }

// Logs says that there is an access log.
func (o *Observer) Logs() bool { return o.log != nil }

// Registry is what /metrics serves.
func (o *Observer) Registry() *prometheus.Registry { return o.registry }

// Close writes out what the access log and the traces still hold, and stops
// them. No exchange may end afterwards.
func (o *Observer) Close() {
	if o.log != nil {
		o.log.close()
	}
	if o.spans != nil {
		o.spans.close()
	}
	if o.push != nil {
		o.push.close()
	}
}

// Series implements [runtime.Observer].
func (o *Observer) Series(route *ir.Route, _ *ir.Rule, backend string) any {
	o.mu.Lock()
	defer o.mu.Unlock()
	r := o.routes[route.Name]
	if r == nil {
		r = o.newRoute(route)
		o.routes[route.Name] = r
	}
	s := r.backends[backend]
	if s == nil {
		s = &series{vec: o.metrics.requests, listener: route.Listener, route: r.label, backend: backend, of: r, duration: r.duration}
		r.backends[backend] = s
	}
	return s
}

// Done implements [runtime.Observer].
func (o *Observer) Done(rec *runtime.Record) {
	s, ok := rec.Series.(*series)
	if !ok || s == nil {
		s = o.unrouted
	}
	s.count(rec.Status)
	s.duration.Observe(rec.Duration.Seconds())
	if rec.Rule != nil && rec.Rule.LLM != nil {
		o.countLLM(rec, s)
	}
	if o.log != nil {
		o.log.write(rec)
	}
	if o.spans != nil && rec.Trace.Sampled {
		o.spans.add(spansOf(rec))
	}
}

// Results of configuration updates.
const (
	accepted = "accepted"
	rejected = "rejected"
)

// Applied notes a configuration that has become live, and drops the series of
// the routes among gone, the resources that are no longer in it.
func (o *Observer) Applied(gone []ir.Ref) {
	o.metrics.applies.WithLabelValues(accepted).Inc()
	o.metrics.applied.SetToCurrentTime()
	o.live.changes.Add(1)
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, ref := range gone {
		if ref.Type == ir.TypeRoute {
			o.forget(ref.Name)
		}
	}
}

// Rejected notes a configuration that was refused.
func (o *Observer) Rejected() { o.metrics.applies.WithLabelValues(rejected).Inc() }

// Gauge is a number that goes up and down.
type Gauge struct{ gauge prometheus.Gauge }

// Add changes the number.
func (g *Gauge) Add(n int) { g.gauge.Add(float64(n)) }

// Connections is the number of open client connections of a port.
func (o *Observer) Connections(port uint16) *Gauge {
	return &Gauge{o.metrics.connections.WithLabelValues(strconv.Itoa(int(port)))}
}

// ConnectionLimit notes how many connections clients may have open.
func (o *Observer) ConnectionLimit(n int) { o.metrics.room.WithLabelValues().Set(float64(n)) }

// Following notes whether a controller sends the configuration at the moment.
func (o *Observer) Following(connected bool) {
	value := 0.0
	if connected {
		value = 1
	}
	o.metrics.following.WithLabelValues().Set(value)
}

// Capture is what became of a redirected connection.
type Capture string

// What becomes of redirected connections.
const (
	// CaptureRouted: routes serve it.
	CaptureRouted Capture = "routed"
	// CaptureUnrouted: no route applies to where it was going, so it was passed through.
	CaptureUnrouted Capture = "unrouted"
	// CaptureOpaque: routes apply, but its client does not speak HTTP, so it was
	// passed through.
	CaptureOpaque Capture = "opaque"
	// CaptureUnreachable: where it was going could not be reached.
	CaptureUnreachable Capture = "unreachable"
	// CaptureRefused: it was going nowhere but to the sidecar.
	CaptureRefused Capture = "refused"
)

// Captured counts a redirected connection.
func (o *Observer) Captured(c Capture) { o.metrics.captured.WithLabelValues(string(c)).Inc() }

// DatagramDropped counts a UDP datagram of a client that reached no backend.
func (o *Observer) DatagramDropped() { o.metrics.datagrams.Inc() }

// HandshakeFailed counts a TLS handshake that a client or the proxy broke off.
func (o *Observer) HandshakeFailed() { o.metrics.handshakes.Inc() }

// HeaderRefused counts a connection that was closed for the header of the PROXY
// protocol that it began with, or did not begin with.
func (o *Observer) HeaderRefused() { o.metrics.headers.Inc() }

// Panicked counts a panic that was held back.
func (o *Observer) Panicked() { o.metrics.panics.Inc() }

// Malformed counts a request that a codec has answered by itself.
func (o *Observer) Malformed(status int) {
	o.metrics.malformed.WithLabelValues(strconv.Itoa(status)).Inc()
}

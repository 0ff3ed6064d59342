package observe

import (
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/citoroute/citoroute/internal/ir"
)

// maxRoutes is how many routes have a duration histogram of their own: a
// histogram is a dozen series, and a thousand routes are enough to look at.
// The others share the one with an empty route.
const maxRoutes = 1000

type metrics struct {
	requests    *prometheus.CounterVec
	duration    *prometheus.HistogramVec
	connections *prometheus.GaugeVec
	room        *prometheus.GaugeVec // not there where it is not known
	captured    *prometheus.CounterVec
	handshakes  prometheus.Counter
	headers     prometheus.Counter
	panics      prometheus.Counter
	datagrams   prometheus.Counter
	malformed   *prometheus.CounterVec
	dropped     prometheus.Counter
	spans       *prometheus.CounterVec
	pushes      *prometheus.CounterVec
	applies     *prometheus.CounterVec
	applied     prometheus.Gauge
	following   *prometheus.GaugeVec // not there where no controller is asked
	build       *prometheus.GaugeVec
	llm         llmMetrics
}

func newMetrics(r prometheus.Registerer) metrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		v := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "citoroute_" + name, Help: help}, labels)
		r.MustRegister(v)
		return v
	}
	gauge := func(name, help string, labels ...string) *prometheus.GaugeVec {
		v := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "citoroute_" + name, Help: help}, labels)
		r.MustRegister(v)
		return v
	}
	m := metrics{
		requests: counter("http_requests_total", "HTTP requests by what answered them and the class of the status.",
			"listener", "route", "backend", "code_class"),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "citoroute_http_request_duration_seconds",
			Help: "Time from a request's head to the end of its response. Beyond 1000 routes the route label is empty.",
			Buckets: []float64{
				.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 10, 60,
			},
		}, []string{"listener", "route"}),
		connections: gauge("client_connections", "Open client connections by listener port.", "port"),
		room:        gauge("client_connections_limit", "Client connections that may be open on all ports together."),
		captured:    counter("mesh_connections_total", "Connections of a pod by what its sidecar did with them.", "result"),
		handshakes: counter("tls_handshake_failures_total", "TLS handshakes with clients that did not complete.").
			WithLabelValues(),
		headers: counter("proxy_protocol_errors_total", "Connections that were closed for a PROXY protocol header that was missing, wrong or not theirs to send.").
			WithLabelValues(),
		panics: counter("panics_total", "Faults of the proxy's code that cost a connection, a stream or a resource of the configuration.").
			WithLabelValues(),
		datagrams: counter("udp_dropped_datagrams_total", "UDP datagrams of clients that reached no backend.").
			WithLabelValues(),
		malformed: counter("http_malformed_requests_total", "HTTP requests refused before routing.", "code"),
		dropped: counter("access_log_dropped_total", "Access log lines lost because the log could not keep up.").
			WithLabelValues(),
		spans:   counter("trace_spans_total", "Spans by what became of them: exported, or dropped because the collector could not be reached or keep up.", "result"),
		pushes:  counter("metrics_pushes_total", "Pushes of the metrics to the OTLP collector: sent, or failed because it could not be reached.", "result"),
		applies: counter("config_updates_total", "Configuration updates by outcome.", "result"),
		applied: gauge("config_last_applied_timestamp_seconds", "When the configuration last changed.").WithLabelValues(),
		following: gauge("config_stream_connected", "1 while a controller sends the configuration, 0 while none does; "+
			"not there where it comes from a file."),
		build: gauge("build_info", "1, labelled with the version.", "version"),
		llm:   newLLMMetrics(r),
	}
	r.MustRegister(m.duration)
	return m
}

// routeMetrics are the series of one route.
type routeMetrics struct {
	listener, label string
	duration        prometheus.Observer
	backends        map[string]*series
	llm             recent[llmKey, *llmSeries] // guarded by Observer.llmMu, like gone
	gone            bool
}

// newRoute returns the series of a route. o.mu is held.
func (o *Observer) newRoute(route *ir.Route) *routeMetrics {
	src := route.Source
	src.Section = ""
	r := &routeMetrics{listener: route.Listener, label: src.String(), backends: make(map[string]*series)}
	histogram := r.label
	if len(o.routes) >= maxRoutes {
		histogram = ""
	}
	r.duration = o.metrics.duration.WithLabelValues(r.listener, histogram)
	return r
}

// forget drops the series of a route. o.mu is held.
func (o *Observer) forget(name string) {
	r := o.routes[name]
	if r == nil {
		return
	}
	delete(o.routes, name)
	gone := prometheus.Labels{"listener": r.listener, "route": r.label}
	o.metrics.requests.DeletePartialMatch(gone)
	o.metrics.duration.Delete(gone)
	o.llmMu.Lock()
	defer o.llmMu.Unlock()
	r.gone, r.llm = true, recent[llmKey, *llmSeries]{}
	o.metrics.llm.forget(gone)
}

// series are the counters of one route and backend. A counter comes into
// being with the first request of its class, so that idle routes cost nothing
// to scrape.
type series struct {
	vec                      *prometheus.CounterVec
	listener, route, backend string
	of                       *routeMetrics // nil for exchanges of no route
	classes                  [6]atomic.Pointer[prometheus.Counter]
	duration                 prometheus.Observer
}

// className is the value of the label code_class; 0 is no status at all,
// because the client was gone.
func className(class int) string {
	return [...]string{"none", "1xx", "2xx", "3xx", "4xx", "5xx"}[class]
}

func (s *series) count(status int) {
	class := status / 100
	if class < 1 || class > 5 {
		class = 0
	}
	slot := &s.classes[class]
	c := slot.Load()
	if c == nil {
		made := s.vec.WithLabelValues(s.listener, s.route, s.backend, className(class))
		c = &made
		slot.Store(c)
	}
	(*c).Inc()
}

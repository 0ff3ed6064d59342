package observe

import (
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/citoroute/citoroute/internal/expiry"
	"github.com/citoroute/citoroute/internal/ir"
)

// Live is what is asked when metrics are read.
type Live struct {
	// Resources returns the configuration that is served.
	Resources func() []ir.Resource
	// Paused returns, by the names of all LLM backends, how many models each is
	// not asked for at the moment.
	Paused func() map[string]int
	// Backends returns how many connections to backends there are, and how many
	// there may be; nil: that is not bounded.
	Backends func() (open, limit int)
}

// Watch has the metrics tell of l as well. It is called once.
func (o *Observer) Watch(l Live) { o.live.of.Store(&l) }

// liveMetrics are made when they are read: nothing has to be counted for them
// meanwhile, and what is gone is not told any more.
type liveMetrics struct {
	expiry, paused  *prometheus.Desc
	backends, limit *prometheus.Desc
	of              atomic.Pointer[Live]
	// changes counts the configurations that have become live.
	changes atomic.Uint64

	mu sync.Mutex // guards what follows
	// certificates are those of the configuration number known.
	certificates map[certificate]float64
	known        uint64
}

// certificate is the labels of one; its value is seconds since 1970.
type certificate struct {
	kind, namespace, name string
	use                   expiry.Use
}

func newLiveMetrics(r prometheus.Registerer) *liveMetrics {
	m := &liveMetrics{
		expiry: prometheus.NewDesc("citoroute_certificate_expiry_timestamp_seconds",
			"When a certificate that is in use expires: the first one of a chain, the last authority of a bundle.",
			[]string{"kind", "namespace", "name", "use"}, nil),
		paused: prometheus.NewDesc("citoroute_llm_backend_paused_models",
			"Models that an LLM backend is not asked for at the moment, because it failed or asked for a pause.",
			[]string{"backend"}, nil),
		backends: prometheus.NewDesc("citoroute_backend_connections", "Open connections to backends.", nil, nil),
		limit:    prometheus.NewDesc("citoroute_backend_connections_limit", "Connections to backends that may be open.", nil, nil),
	}
	r.MustRegister(m)
	return m
}

// Describe implements [prometheus.Collector].
func (m *liveMetrics) Describe(out chan<- *prometheus.Desc) {
	out <- m.expiry
	out <- m.paused
	out <- m.backends
	out <- m.limit
}

// Collect implements [prometheus.Collector].
func (m *liveMetrics) Collect(out chan<- prometheus.Metric) {
	l := m.of.Load()
	if l == nil {
		return
	}
	gauge := func(d *prometheus.Desc, value float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
	}
	for c, end := range m.ends(l.Resources) {
		gauge(m.expiry, end, c.kind, c.namespace, c.name, string(c.use))
	}
	for backend, models := range l.Paused() {
		gauge(m.paused, float64(models), backend)
	}
	if l.Backends != nil {
		open, limit := l.Backends()
		gauge(m.backends, float64(open))
		gauge(m.limit, float64(limit))
	}
}

// ends returns the certificates of the configuration, which are read again when
// it is another one. The map is not changed any more.
func (m *liveMetrics) ends(resources func() []ir.Resource) map[certificate]float64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	// The number is read first: what comes after it is read the next time.
	if now := m.changes.Load(); m.certificates == nil || now != m.known {
		m.certificates, m.known = certificatesOf(resources()), now
	}
	return m.certificates
}

func certificatesOf(resources []ir.Resource) map[certificate]float64 {
	out := make(map[certificate]float64)
	for _, c := range expiry.Of(resources) {
		labels := certificate{c.Source.Kind, c.Source.Namespace, c.Source.Name, c.Use}
		end := float64(c.NotAfter.Unix())
		if other, ok := out[labels]; ok { // a file may have two resources of one source
			end = min(end, other)
		}
		out[labels] = end
	}
	return out
}

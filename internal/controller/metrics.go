package controller

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/citoroute/citoroute/internal/expiry"
)

// metrics are the controller's own, beside those of controller-runtime.
type metrics struct {
	changes     prometheus.Counter
	translation prometheus.Histogram
}

func newMetrics(registry prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		changes: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "citoroute_controller_changes_total",
			Help: "Changed objects that were translated.",
		}),
		translation: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "citoroute_controller_translation_seconds",
			Help:    "Time that one round of translation took.",
			Buckets: prometheus.ExponentialBuckets(0.0001, 4, 10),
		}),
	}
	return m, register(registry, m.changes, m.translation)
}

func register(registry prometheus.Registerer, collectors ...prometheus.Collector) error {
	for _, c := range collectors {
		if err := registry.Register(c); err != nil {
			return err
		}
	}
	return nil
}

// watch adds gauges of what the world and its config server hold.
func (m *metrics) watch(registry prometheus.Registerer, world *World, identity *Identity) error {
	return register(registry, newIdentityMetrics(identity),
		gauge("citoroute_controller_nodes", "Configurations that are kept: one per Gateway, and per namespace of the mesh.",
			func() int { return len(world.nodes()) }),
		gauge("citoroute_controller_streams", "Proxies that are connected to this replica.",
			world.server.Streams),
		gauge("citoroute_controller_rejecting_nodes", "Configurations that a proxy refused, wholly or in part.",
			func() int { return rejecting(world) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "citoroute_controller_acknowledgement_lag_seconds",
			Help: "For how long the proxy that has waited longest has not answered what it was sent; 0: all have.",
		}, func() float64 { return world.server.Lag().Seconds() }),
	)
}

func gauge(name, help string, value func() int) prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, func() float64 { return float64(value()) })
}

func rejecting(world *World) int {
	n := 0
	for _, node := range world.nodes() {
		if world.server.State(node).Rejected != "" {
			n++
		}
	}
	return n
}

func (m *metrics) translated(changes int, took time.Duration) {
	m.changes.Add(float64(changes))
	m.translation.Observe(took.Seconds())
}

// Uses of the controller's own certificates, beside those of a proxy.
const (
	useController          = "controller"           // proxies and API servers are shown it
	useControllerAuthority = "controller_authority" // they check it
)

// identityMetrics tell until when the controller's own certificates are valid.
type identityMetrics struct {
	identity *Identity
	expiry   *prometheus.Desc
}

func newIdentityMetrics(identity *Identity) *identityMetrics {
	return &identityMetrics{identity, prometheus.NewDesc("citoroute_certificate_expiry_timestamp_seconds",
		"When a certificate of the controller's own expires: the first one of a chain, the last authority of a bundle.",
		[]string{"use"}, prometheus.Labels{"kind": "Secret", "namespace": identity.secret.Namespace, "name": identity.secret.Name})}
}

// Describe implements [prometheus.Collector].
func (m *identityMetrics) Describe(out chan<- *prometheus.Desc) { out <- m.expiry }

// Collect implements [prometheus.Collector].
func (m *identityMetrics) Collect(out chan<- prometheus.Metric) {
	material := m.identity.material.Load()
	if material == nil {
		return // the leader has made none yet
	}
	for use, end := range map[string]time.Time{
		useController:          expiry.Chain(material.Certificate),
		useControllerAuthority: expiry.Bundle(material.Authorities),
	} {
		out <- prometheus.MustNewConstMetric(m.expiry, prometheus.GaugeValue, float64(end.Unix()), use)
	}
}

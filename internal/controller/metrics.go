package controller

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/citoroute/citoroute/internal/push"
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
	for _, c := range []prometheus.Collector{m.changes, m.translation} {
		if err := registry.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// watch adds gauges of what the world and the config server hold.
func (m *metrics) watch(registry prometheus.Registerer, world *World, server *push.Server) error {
	for _, g := range []prometheus.Collector{
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "citoroute_controller_nodes", Help: "Configurations that are kept, one per Gateway.",
		}, func() float64 { return float64(len(world.nodes())) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "citoroute_controller_streams", Help: "Proxies that are connected to this replica.",
		}, func() float64 { return float64(server.Streams()) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "citoroute_controller_rejecting_nodes", Help: "Configurations that a proxy refused, wholly or in part.",
		}, func() float64 { return float64(rejecting(world, server)) }),
	} {
		if err := registry.Register(g); err != nil {
			return err
		}
	}
	return nil
}

func rejecting(world *World, server *push.Server) int {
	n := 0
	for _, node := range world.nodes() {
		if server.State(node).Rejected != "" {
			n++
		}
	}
	return n
}

func (m *metrics) translated(changes int, took time.Duration) {
	m.changes.Add(float64(changes))
	m.translation.Observe(took.Seconds())
}

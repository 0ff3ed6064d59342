package observe

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/citoroute/citoroute/internal/proxy/runtime"
)

// limitMetrics count what limits of LLM routes do.
type limitMetrics struct{ limited, failures *prometheus.CounterVec }

func newLimitMetrics(r prometheus.Registerer) limitMetrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		v := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "citoroute_llm_" + name, Help: help}, labels)
		r.MustRegister(v)
		return v
	}
	return limitMetrics{
		limited: counter("limited_total", "Requests to LLM routes that a limit has refused.",
			"listener", "route", "consumer", "policy", "limit"),
		failures: counter("limit_store_failures_total", "Requests to LLM routes whose limits could not be checked, or not settled.",
			"listener", "route"),
	}
}

// count accounts for a request of an LLM route.
func (m *limitMetrics) count(rec *runtime.Record, of *routeMetrics) {
	if l := rec.LLM.Limited; l != nil {
		m.limited.WithLabelValues(of.listener, of.label, rec.Consumer, l.Policy, l.Name).Inc()
	}
	if rec.LLM.LimitErr != nil {
		m.failures.WithLabelValues(of.listener, of.label).Inc()
	}
}

// forget drops the series of a route.
func (m *limitMetrics) forget(route prometheus.Labels) {
	m.limited.DeletePartialMatch(route)
	m.failures.DeletePartialMatch(route)
}

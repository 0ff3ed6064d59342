package observe

import (
	"slices"
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/citoroute/citoroute/internal/proxy/llm"
)

// paceVec is a histogram that takes in whole paces of streams, which
// prometheus's own cannot: they have counted by its buckets already.
type paceVec struct {
	desc   *prometheus.Desc
	mu     sync.Mutex // guards series and what is in them
	series []*paceSeries
}

// paceSeries is the histogram of one set of labels.
type paceSeries struct {
	vec    *paceVec
	labels []string
	counts [llm.PaceBuckets + 1]uint64
	sum    float64 // seconds
}

func newPaceVec(r prometheus.Registerer, name, help string, labels ...string) *paceVec {
	v := &paceVec{desc: prometheus.NewDesc(name, help, labels, nil)}
	r.MustRegister(v)
	return v
}

// with returns the series of these labels.
func (v *paceVec) with(labels ...string) *paceSeries {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, s := range v.series {
		if slices.Equal(s.labels, labels) {
			return s
		}
	}
	s := &paceSeries{vec: v, labels: labels}
	v.series = append(v.series, s)
	return s
}

// add takes in the pace of a stream.
func (s *paceSeries) add(p *llm.Pace) {
	s.vec.mu.Lock()
	defer s.vec.mu.Unlock()
	for i, n := range p.Counts {
		s.counts[i] += uint64(n)
	}
	s.sum += p.Sum.Seconds()
}

// Describe implements prometheus.Collector.
func (v *paceVec) Describe(to chan<- *prometheus.Desc) { to <- v.desc }

// Collect implements prometheus.Collector.
func (v *paceVec) Collect(to chan<- prometheus.Metric) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, s := range v.series {
		buckets, count := make(map[float64]uint64, llm.PaceBuckets), uint64(0)
		for i, n := range s.counts {
			if count += n; i < llm.PaceBuckets {
				buckets[llm.PaceBound(i).Seconds()] = count
			}
		}
		to <- prometheus.MustNewConstHistogram(v.desc, count, s.sum, buckets, s.labels...)
	}
}

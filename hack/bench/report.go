package main

import (
	"fmt"
	"io"
	"slices"
)

// report prints the processor time per request, and the ratios within each
// round.
func report(w io.Writer, results []result, o options, s suite) {
	byName := map[string]result{}
	for _, r := range results {
		byName[r.name] = r
	}
	fmt.Fprintf(w, "\n%s: %d rounds of %s, %d connections, one core for the proxy\n",
		s.about, o.rounds, o.duration, o.connections)
	fmt.Fprintf(w, "%-24s %10s %8s %14s %8s\n", "", "requests/s", "p99", "CPU/request", "failed")
	for _, r := range results {
		fmt.Fprintf(w, "%-24s %10.0f %6.2fms %11.2f us %8d\n", r.name, median(r.rate), median(r.latency), median(r.cpu), r.errors)
	}
	fmt.Fprintf(w, "\n%-48s %7s %7s %7s\n", "ratio within a round", "median", "min", "max")
	for _, pair := range s.pairs {
		a, b := byName[pair[0]], byName[pair[1]]
		line(w, pair[0]+" / "+pair[1]+", throughput", a.rate, b.rate)
		line(w, pair[0]+" / "+pair[1]+", CPU per request", a.cpu, b.cpu)
	}
}

func line(w io.Writer, what string, a, b []float64) {
	ratios := make([]float64, len(a))
	for i := range a {
		ratios[i] = a[i] / b[i]
	}
	fmt.Fprintf(w, "%-48s %7.2f %7.2f %7.2f\n", what, median(ratios), slices.Min(ratios), slices.Max(ratios))
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	if n%2 == 0 {
		return (sorted[n/2-1] + sorted[n/2]) / 2
	}
	return sorted[n/2]
}

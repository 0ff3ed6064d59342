package observe

import (
	"errors"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/citoroute/citoroute/internal/ir"
	"github.com/citoroute/citoroute/internal/proxy/limit"
)

// documented are the metrics of docs/observability.md with their labels.
func documented(t *testing.T) map[string][]string {
	t.Helper()
	b, err := os.ReadFile("../../../docs/observability.md")
	if err != nil {
		t.Fatal(err)
	}
	row := regexp.MustCompile("^\\| `((?:citoroute|gen_ai)_\\w+)` \\| ([^|]*)\\|")
	of := map[string][]string{ // what the text before a table says that each has
		"citoroute_llm_": {"listener", "route", "consumer", "backend", "provider", "model"},
		"gen_ai_client_": {"gen_ai_operation_name", "gen_ai_provider_name", "gen_ai_request_model", "server_address", "server_port"},
		"gen_ai_server_": {"gen_ai_operation_name", "gen_ai_provider_name", "gen_ai_request_model"},
	}
	out := map[string][]string{}
	for line := range strings.Lines(string(b)) {
		m := row.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		labels := strings.FieldsFunc(m[2], func(r rune) bool { return r == ',' || r == ' ' })
		for prefix, more := range of {
			// The tables of limits and backends name all of their labels.
			if strings.HasPrefix(m[1], prefix) && !strings.HasPrefix(m[1], "citoroute_llm_limit") && !strings.HasPrefix(m[1], "citoroute_llm_backend") {
				labels = append(labels, more...)
			}
		}
		slices.Sort(labels)
		out[m[1]] = labels
	}
	return out
}

// TestMetrics_AreThoseOfTheDocumentation has everything counted once and
// compares what is served with what is documented.
func TestMetrics_AreThoseOfTheDocumentation(t *testing.T) {
	o := New(Options{})
	rec := failedOver(o)
	rec.LLM.Limited, rec.LLM.LimitErr = &limit.Limit{Policy: "p", Name: "l"}, errors.New("no store")
	o.Done(rec)
	o.Applied([]ir.Ref{})
	o.Rejected()
	o.Captured(CaptureRouted)
	o.Malformed(400)
	o.Connections(80).Add(1)
	o.DatagramDropped()
	o.HandshakeFailed()
	o.ConnectionLimit(1)
	o.Following(true)
	o.Watch(Live{
		Resources: func() []ir.Resource {
			return []ir.Resource{
				&ir.Listener{Name: "l", TLS: &ir.ServerTLS{Certificates: []string{"s"}}},
				&ir.Secret{Name: "s", Certificate: endingAt(t, 1)},
			}
		},
		Paused:   func() map[string]int { return map[string]int{"b": 1} },
		Backends: func() (open, limit int) { return 1, 2 },
	})
	o.HeaderRefused()
	o.Panicked()
	o.metrics.spans.WithLabelValues("exported")
	o.metrics.pushes.WithLabelValues("sent")
	families, err := o.Registry().Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string][]string{}
	for _, f := range families {
		if strings.HasPrefix(f.GetName(), "go_") || strings.HasPrefix(f.GetName(), "process_") {
			continue
		}
		labels := []string{}
		for _, l := range f.GetMetric()[0].GetLabel() {
			labels = append(labels, l.GetName())
		}
		slices.Sort(labels)
		got[f.GetName()] = labels
	}
	want := documented(t)
	maps.DeleteFunc(want, func(name string, _ []string) bool { return got[name] == nil }) // the controller's
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-documented +served:\n%s", diff)
	}
	// What has not been counted is not served: it is asked for by its description.
	all := make(chan *prometheus.Desc, 1000)
	o.registry.Describe(all)
	close(all)
	for desc := range all {
		name := regexp.MustCompile(`fqName: "((?:citoroute|gen_ai)_\w+)"`).FindStringSubmatch(desc.String())
		if len(name) > 0 && got[name[1]] == nil {
			t.Errorf("this test does not count %s", name[1])
		}
	}
}

package insights

import (
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/prometheus/promql/parser"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	runtimemetrics "sigs.k8s.io/controller-runtime/pkg/metrics"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/citoroute/citoroute/internal/controller"
	"github.com/citoroute/citoroute/internal/infra"
	"github.com/citoroute/citoroute/internal/proxy/observe"
)

// catalogue has the labels of each metric by its name.
type catalogue map[string][]string

// served returns the metrics of proxies and of the controller, from the
// registries themselves.
func served(t *testing.T) catalogue {
	t.Helper()
	o := observe.New(observe.Options{})
	t.Cleanup(o.Close)
	ours := prometheus.NewRegistry()
	mgr, err := ctrl.NewManager(&rest.Config{Host: "127.0.0.1:1"}, ctrl.Options{ // which is not asked anything
		Metrics: metricsserver.Options{BindAddress: "0"},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := controller.Setup(mgr, controller.Options{
		Namespace: "n", ServiceName: "s", SecretName: "t", StreamAddress: ":1", Infra: infra.Options{Image: "i"}, Registry: ours,
	}); err != nil {
		t.Fatal(err)
	}
	all, ok := runtimemetrics.Registry.(prometheus.Collector)
	if !ok {
		t.Fatal("controller-runtime's registry cannot be described")
	}
	c := catalogue{}
	for _, from := range []prometheus.Collector{o.Registry(), ours, all} {
		c.describe(from)
	}
	return c
}

var description = regexp.MustCompile(`fqName: "(\w+)".*constLabels: \{(.*)\}, variableLabels: \{(.*)\}\}`)

// describe adds what a registry has.
func (c catalogue) describe(from prometheus.Collector) {
	descriptions := make(chan *prometheus.Desc)
	go func() {
		defer close(descriptions)
		from.Describe(descriptions)
	}()
	for d := range descriptions {
		m := description.FindStringSubmatch(d.String())
		if m == nil {
			continue
		}
		var labels []string
		for pair := range strings.SplitSeq(m[2], ",") {
			name, _, _ := strings.Cut(pair, "=")
			labels = append(labels, name)
		}
		labels = append(labels, strings.Split(m[3], ",")...)
		c[m[1]] = slices.DeleteFunc(labels, func(l string) bool { return l == "" })
	}
}

// labels returns those of a series' name, which may be a histogram's.
func (c catalogue) labels(name string) ([]string, bool) {
	if labels, ok := c[name]; ok {
		return labels, true
	}
	for _, suffix := range []string{"_bucket", "_sum", "_count"} {
		if labels, ok := c[strings.TrimSuffix(name, suffix)]; ok && strings.HasSuffix(name, suffix) {
			return append(slices.Clone(labels), "le"), true
		}
	}
	return nil, false
}

// targetLabels are on every series: Prometheus adds them.
var targetLabels = []string{"job", "instance", "namespace", "pod", "container", "endpoint", "service"}

// check reports what an expression names that does not exist, and returns the
// labels that its series may have.
func (c catalogue) check(t *testing.T, where, expression string) []string {
	t.Helper()
	expr, err := parser.NewParser(parser.Options{}).ParseExpr(expression)
	if err != nil {
		t.Errorf("%s: %v in %s", where, err, expression)
		return nil
	}
	known := map[string]bool{}
	var asked []string
	parser.Inspect(expr, func(node parser.Node, _ []parser.Node) error {
		switch n := node.(type) {
		case *parser.VectorSelector:
			labels, ok := c.labels(n.Name)
			if !ok {
				t.Errorf("%s: there is no metric %q in %s", where, n.Name, expression)
			}
			own := slices.Concat(labels, targetLabels)
			for _, m := range n.LabelMatchers {
				if m.Name != "__name__" && !slices.Contains(own, m.Name) {
					t.Errorf("%s: %s has no label %q", where, n.Name, m.Name)
				}
			}
			for _, l := range own {
				known[l] = true
			}
		case *parser.AggregateExpr:
			asked = append(asked, n.Grouping...)
		case *parser.BinaryExpr:
			if n.VectorMatching != nil {
				asked = append(asked, slices.Concat(n.VectorMatching.MatchingLabels, n.VectorMatching.Include)...)
			}
		case *parser.Call:
			if n.Func.Name == "label_replace" {
				known[text(n.Args[1])] = true
				asked = append(asked, text(n.Args[3]))
			}
		}
		return nil
	})
	for _, l := range asked {
		if !known[l] {
			t.Errorf("%s: nothing has the label %q in %s", where, l, expression)
		}
	}
	if len(asked) > 0 { // an aggregation leaves no others
		return asked
	}
	return slices.Sorted(maps.Keys(known))
}

func text(e parser.Expr) string {
	s, _ := e.(*parser.StringLiteral)
	if s == nil {
		return ""
	}
	return s.Val
}

// TestCatalogue_Finds what is not there, or the other tests say nothing.
func TestCatalogue_Finds(t *testing.T) {
	c := served(t)
	for _, name := range []string{
		"citoroute_http_requests_total", "citoroute_certificate_expiry_timestamp_seconds", "citoroute_controller_nodes",
		"leader_election_master_status", "go_goroutines", "gen_ai_server_time_to_first_token_seconds_bucket",
	} {
		if _, ok := c.labels(name); !ok {
			t.Errorf("%s is not found", name)
		}
	}
	for _, name := range []string{"citoroute_http_requests", "citoroute_nodes", "citoroute_controller_nodes_bucket2"} {
		if _, ok := c.labels(name); ok {
			t.Errorf("%s is found", name)
		}
	}
	if got := c["citoroute_certificate_expiry_timestamp_seconds"]; !slices.Contains(got, "use") || !slices.Contains(got, "kind") {
		t.Errorf("the labels of a certificate are %v", got)
	}
}

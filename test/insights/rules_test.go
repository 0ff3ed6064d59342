package insights

import (
	"fmt"
	"log/slog"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/promql/promqltest"
	"github.com/prometheus/prometheus/util/teststorage"
	"sigs.k8s.io/yaml"
)

// rules returns those of config/prometheus, in order.
func rules(t *testing.T) []rulefmt.Rule {
	t.Helper()
	b, err := os.ReadFile("../../config/prometheus/rules.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Spec any `json:"spec"`
	}
	if err := yaml.Unmarshal(b, &file); err != nil {
		t.Fatal(err)
	}
	spec, err := yaml.Marshal(file.Spec)
	if err != nil {
		t.Fatal(err)
	}
	// It also reads every expression and every template of an annotation.
	groups, errs := rulefmt.Parse(spec, false, model.LegacyValidation, parser.NewParser(parser.Options{}), slog.New(slog.DiscardHandler))
	for _, err := range errs {
		t.Error(err)
	}
	var out []rulefmt.Rule
	for _, g := range groups.Groups {
		out = append(out, g.Rules...)
	}
	if len(out) == 0 {
		t.Fatal("there are no rules")
	}
	return out
}

func TestRules_NameWhatExists(t *testing.T) {
	c := served(t)
	troubles, err := os.ReadFile("../../docs/troubleshooting.md")
	if err != nil {
		t.Fatal(err)
	}
	inTemplate := regexp.MustCompile(`\$labels\.(\w+)`)
	for _, r := range rules(t) {
		known := c.check(t, r.Record+r.Alert, r.Expr)
		if r.Record != "" {
			c[r.Record] = known
			continue
		}
		for _, m := range inTemplate.FindAllStringSubmatch(fmt.Sprint(r.Annotations), -1) {
			if !slices.Contains(known, m[1]) {
				t.Errorf("%s: its annotations name %s", r.Alert, m[1])
			}
		}
		_, anchor, _ := strings.Cut(r.Annotations["runbook_url"], "docs/troubleshooting.md#")
		heading := regexp.MustCompile(`(?mi)^### ` + anchor + `$`)
		if anchor == "" || !heading.Match(troubles) {
			t.Errorf("%s: docs/troubleshooting.md has no section %q", r.Alert, anchor)
		}
		if !strings.Contains(string(troubles), r.Alert) {
			t.Errorf("%s: docs/troubleshooting.md does not name it", r.Alert)
		}
		if s := r.Labels["severity"]; s != "warning" && s != "critical" {
			t.Errorf("%s: its severity is %q", r.Alert, s)
		}
	}
}

// firing returns the alerts, with their labels, whose expressions hold at the time
// at of these series.
func firing(t *testing.T, rules []rulefmt.Rule, series string, at time.Duration) []string {
	t.Helper()
	load := "load 1m\n" // an empty line would end it
	for line := range strings.Lines(strings.ReplaceAll(series, "ALL", strconv.Itoa(int(at.Minutes())))) {
		if line = strings.TrimSpace(line); line != "" {
			load += "  " + line + "\n"
		}
	}
	storage := promqltest.LoadedStorage(t, load)
	engine := promqltest.NewTestEngine(t, false, 0, promqltest.DefaultMaxSamplesPerQuery)
	var out []string
	for _, r := range rules {
		for _, s := range evaluate(t, engine, storage, r.Expr, at) {
			if r.Record == "" {
				out = append(out, r.Alert+without(s.Metric).String())
				continue
			}
			keep(t, storage, r.Record, s)
		}
	}
	slices.Sort(out)
	return out
}

// without drops the name of a series.
func without(series labels.Labels) labels.Labels {
	return labels.NewBuilder(series).Del(model.MetricNameLabel).Labels()
}

func evaluate(t *testing.T, engine *promql.Engine, storage *teststorage.TestStorage, expression string, at time.Duration) promql.Vector {
	t.Helper()
	query, err := engine.NewInstantQuery(t.Context(), storage, nil, expression, time.Unix(0, 0).Add(at))
	if err != nil {
		t.Fatal(err)
	}
	defer query.Close()
	result, err := query.Exec(t.Context()).Vector()
	if err != nil {
		t.Fatalf("%v: %s", err, expression)
	}
	return slices.Clone(result)
}

// keep stores a recorded sample.
func keep(t *testing.T, storage *teststorage.TestStorage, name string, s promql.Sample) {
	t.Helper()
	app := storage.Appender(t.Context())
	if _, err := app.Append(0, labels.NewBuilder(s.Metric).Set(model.MetricNameLabel, name).Labels(), s.T, s.F); err != nil {
		t.Fatal(err)
	}
	if err := app.Commit(); err != nil {
		t.Fatal(err)
	}
}

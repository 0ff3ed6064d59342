package insights

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// dashboard is what a test needs of Grafana's model of one.
type dashboard struct {
	Panels []struct {
		ID      int    `json:"id"`
		Type    string `json:"type"`
		Title   string `json:"title"`
		Targets []struct {
			Expr   string `json:"expr"`
			Legend string `json:"legendFormat"`
		} `json:"targets"`
	} `json:"panels"`
	Templating struct {
		List []struct {
			Name  string `json:"name"`
			Query string `json:"query"`
		} `json:"list"`
	} `json:"templating"`
}

func TestDashboards_NameWhatExists(t *testing.T) {
	paths, err := filepath.Glob("../../grafana/*.json")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no dashboards: %v", err)
	}
	c := served(t)
	for _, path := range paths {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var d dashboard
		if err := json.Unmarshal(b, &d); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		d.check(t, c)
	}
}

func (d dashboard) check(t *testing.T, c catalogue) {
	t.Helper()
	seen := map[int]bool{}
	for _, p := range d.Panels {
		if seen[p.ID] {
			t.Errorf("two panels have the id %d", p.ID)
		}
		seen[p.ID] = true
		if p.Type != "row" && len(p.Targets) == 0 {
			t.Errorf("%s asks nothing", p.Title)
		}
		for _, target := range p.Targets {
			labels := c.check(t, p.Title, d.filled(t, target.Expr))
			for _, m := range regexp.MustCompile(`\{\{(\w+)\}\}`).FindAllStringSubmatch(target.Legend, -1) {
				if !slices.Contains(labels, m[1]) {
					t.Errorf("%s: the legend has the label %s", p.Title, m[1])
				}
			}
		}
	}
	values := regexp.MustCompile(`^label_values\((\w+), (\w+)\)$`)
	for _, v := range d.Templating.List {
		if m := values.FindStringSubmatch(v.Query); m != nil {
			c.check(t, "variable "+v.Name, m[1]+`{`+m[2]+`=""}`)
		}
	}
}

// filled returns an expression with the variables replaced, which must be there.
func (d dashboard) filled(t *testing.T, expression string) string {
	t.Helper()
	expression = strings.ReplaceAll(expression, "$__rate_interval", "5m")
	return regexp.MustCompile(`\$\{?(\w+)\}?`).ReplaceAllStringFunc(expression, func(v string) string {
		for _, known := range d.Templating.List {
			if known.Name == strings.Trim(v, "${}") {
				return "x"
			}
		}
		t.Errorf("there is no variable %s: %s", v, expression)
		return "x"
	})
}

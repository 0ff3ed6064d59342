package internal_test

import (
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/citoroute/citoroute/internal/proxy/observe"
	"github.com/citoroute/citoroute/internal/standalone"
)

// documents returns the Markdown files of the project, by path.
func documents(t *testing.T) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := filepath.WalkDir("..", func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && (entry.Name() == "node_modules" || strings.HasPrefix(entry.Name(), ".") && path != ".."):
			return fs.SkipDir
		case filepath.Ext(path) != ".md":
			return nil
		}
		out[path] = read(t, path)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestDocs_LinksLeadSomewhere(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)#\s]*)(?:#([^)\s]+))?\)`)
	all := documents(t)
	for path, text := range all {
		for _, m := range link.FindAllStringSubmatch(text, -1) {
			if strings.Contains(m[1], ":") {
				continue // elsewhere
			}
			target := path
			if m[1] != "" {
				target = filepath.Join(filepath.Dir(path), m[1])
			}
			if _, err := os.Stat(target); err != nil {
				t.Errorf("%s: %s is not there", path, m[1])
			} else if m[2] != "" && !slices.Contains(anchors(all[target]), m[2]) {
				t.Errorf("%s: %s has no heading #%s", path, target, m[2])
			}
		}
	}
}

// anchors are the names that headings have in links.
func anchors(text string) []string {
	var out []string
	dropped := regexp.MustCompile(`[^\w\- ]`)
	for _, m := range regexp.MustCompile(`(?m)^#+ (.*)$`).FindAllStringSubmatch(text, -1) {
		out = append(out, strings.ReplaceAll(dropped.ReplaceAllString(strings.ToLower(m[1]), ""), " ", "-"))
	}
	return out
}

// TestDocs_ReasonsAreExplained holds docs/status-reasons.md against every status
// that a golden case has.
func TestDocs_ReasonsAreExplained(t *testing.T) {
	rows := regexp.MustCompile(`(?m)^\| ([^|]+) \| ([^|]+) \|`).FindAllStringSubmatch(read(t, "../docs/status-reasons.md"), -1)
	explained := func(condition, reason string) bool {
		return slices.ContainsFunc(rows, func(row []string) bool {
			return strings.Contains(row[1], condition) && slices.Contains(strings.Split(row[2], ", "), reason)
		})
	}
	cases, err := filepath.Glob("translate/testdata/*.txtar")
	if err != nil || len(cases) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	status := regexp.MustCompile(`\b([A-Z]\w+)=(True|False) ([A-Z]\w+) @`)
	for _, path := range cases {
		for _, m := range status.FindAllStringSubmatch(read(t, path), -1) {
			condition, value, reason := m[1], m[2], m[3]
			ordinary := value == "True" && reason == condition || reason == "NoConflicts"
			foreign := condition == "Foreign" // what another controller has written
			if !ordinary && !foreign && !explained(condition+"="+value, reason) {
				t.Errorf("%s: %s=%s %s is not in docs/status-reasons.md", filepath.Base(path), condition, value, reason)
			}
		}
	}
}

// TestDocs_MetricsAreListed holds docs/observability.md against what there is.
func TestDocs_MetricsAreListed(t *testing.T) {
	text := read(t, "../docs/observability.md")
	name := regexp.MustCompile("`((?:citoroute|gen_ai_client|gen_ai_server)_\\w+)`")
	listed := map[string]bool{}
	for _, m := range name.FindAllStringSubmatch(text, -1) {
		listed[m[1]] = true
	}
	for _, metric := range append(proxyMetrics(), controllerMetrics(t)...) {
		if !listed[metric] {
			t.Errorf("%s is not listed", metric)
		}
		delete(listed, metric)
	}
	for metric := range listed {
		t.Errorf("%s is listed and does not exist", metric)
	}
}

func proxyMetrics() []string {
	o := observe.New(observe.Options{})
	defer o.Close()
	descriptions := make(chan *prometheus.Desc)
	go func() {
		o.Registry().Describe(descriptions)
		close(descriptions)
	}()
	name := regexp.MustCompile(`fqName: "((?:citoroute|gen_ai)_\w+)"`)
	var out []string
	for d := range descriptions {
		if m := name.FindStringSubmatch(d.String()); m != nil {
			out = append(out, m[1])
		}
	}
	return out
}

// controllerMetrics are found in its source: to make them takes a manager.
func controllerMetrics(t *testing.T) []string {
	t.Helper()
	var out []string
	for _, m := range regexp.MustCompile(`"(citoroute_controller_\w+)"`).FindAllStringSubmatch(read(t, "controller/metrics.go"), -1) {
		out = append(out, m[1])
	}
	return out
}

// TestDocs_FlagsAreThere holds the flags that documents name against those of
// the programs, and has every flag of the controller documented.
func TestDocs_FlagsAreThere(t *testing.T) {
	controller := flags(t, "../cmd/controller/*.go")
	known := slices.Concat(controller, flags(t, "../cmd/citoroute/*.go"), flags(t, "../cmd/proxy/*.go"),
		[]string{"server-side", "clusterrole", "serviceaccount", "patch-file", "data", "help", "kubeconfig"}) // of kubectl, curl, cobra and hack/cluster
	named := map[string]bool{}
	for path, text := range documents(t) {
		if strings.HasPrefix(path, "../docs/decisions") {
			continue // what was thought of once
		}
		for _, m := range regexp.MustCompile("[`\\s\\[(]--([a-z][a-z0-9-]+)").FindAllStringSubmatch(text, -1) {
			named[m[1]] = true
			if !slices.Contains(known, m[1]) {
				t.Errorf("%s: there is no flag --%s", path, m[1])
			}
		}
	}
	for _, name := range controller {
		if !named[name] {
			t.Errorf("--%s of the controller is not documented", name)
		}
	}
}

// flags are found in the source of a program.
func flags(t *testing.T, pattern string) []string {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		t.Fatalf("%s: no files: %v", pattern, err)
	}
	var out []string
	for _, path := range files {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		for _, m := range regexp.MustCompile(`(?:\w+Var|Func|VarP)\((?:[^"\n]*, )?"([a-z][a-z0-9-]+)"`).FindAllStringSubmatch(read(t, path), -1) {
			out = append(out, m[1])
		}
	}
	return out
}

// TestDocs_ManifestsAreAdmitted has every whole object that documents show
// checked as an API server would.
func TestDocs_ManifestsAreAdmitted(t *testing.T) {
	block := regexp.MustCompile("(?ms)^( *)```yaml(\n.*?\n) *```")
	manifests := map[string][]byte{}
	for path, text := range documents(t) {
		for _, m := range block.FindAllStringSubmatch(text, -1) {
			if body := strings.ReplaceAll(m[2], "\n"+m[1], "\n")[1:]; strings.HasPrefix(body, "apiVersion: ") {
				manifests[path] = append(append(manifests[path], body...), "---\n"...)
			}
		}
	}
	if len(manifests) < 5 {
		t.Fatalf("manifests in %d documents only", len(manifests))
	}
	for path, content := range manifests {
		s, err := standalone.New(standalone.Options{Given: map[string][]byte{path: content}, Bind: netip.IPv6Loopback()}, false)
		if err != nil {
			t.Fatal(err)
		}
		report, err := s.Load(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range report.Problems {
			t.Errorf("%s", p)
		}
	}
}

// Package internal_test holds the rules of who may import whom, indirect
// imports included. The linter holds the same for direct ones.
package internal_test

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/citoroute/citoroute/"

// A rule says what the packages below one path never import, and why.
type rule struct {
	packages string   // patterns of packages below the module, separated by spaces
	never    []string // import paths, themselves and what is below them
	but      []string // exceptions to never
	why      string
}

var kubernetes = []string{"k8s.io", "sigs.k8s.io"}

func rules() map[string]rule {
	return map[string]rule{
		"API": {
			packages: "api/...",
			never:    []string{module + "internal", "k8s.io/client-go", "sigs.k8s.io/controller-runtime"},
			why:      "others import our types and should not get our programs with them",
		},
		"IR": {
			packages: "internal/ir/...",
			never:    []string{"github.com", "golang.org", "google.golang.org", "k8s.io", "sigs.k8s.io"},
			but:      []string{module + "internal/ir"},
			why:      "the model is plain structs of the standard library",
		},
		"AI": {
			packages: "internal/ai/...",
			never:    append([]string{module + "internal", "golang.org", "google.golang.org"}, kubernetes...),
			but:      []string{module + "internal/ai", module + "internal/poison"},
			why:      "LLM protocols are translated without knowing a server or a cluster",
		},
		"Bootstrap": {packages: "internal/bootstrap/...", never: kubernetes, why: "the proxy reads it, and the proxy knows no Kubernetes"},
		"Expiry":    {packages: "internal/expiry/...", never: kubernetes, why: "the proxy asks it, and the proxy knows no Kubernetes"},
		"Push":      {packages: "internal/push/...", never: kubernetes, why: "the stream's client half is linked into the proxy"},
		"Proxy":     {packages: "internal/proxy/...", never: append([]string{module + "internal/translate", module + "api"}, kubernetes...), why: "the proxy is small: it is copied into every meshed pod"},
		"RequestPath": {
			packages: "internal/proxy/balance internal/proxy/clientaddr internal/proxy/exchange internal/proxy/filter/... internal/proxy/h1 internal/proxy/router internal/proxy/upstream",
			never:    []string{"net/http"},
			why:      "requests are exchanges, whatever the version of the protocol",
		},
		"ProxyProgram": {packages: "cmd/proxy/...", never: append([]string{module + "internal/fakellm"}, kubernetes...), why: "the proxy is small: it is copied into every meshed pod"},
		"Translate":    pure("internal/translate/..."),
		"Engine":       pure("internal/engine/..."),
		"Status":       pure("internal/status/..."),
		"Infra":        pure("internal/infra/..."),
		"Inject":       pure("internal/inject/..."),
		"Standalone": {
			packages: "internal/standalone/...",
			never:    []string{"k8s.io/client-go/kubernetes", "sigs.k8s.io/controller-runtime", module + "internal/controller"},
			why:      "standalone mode has no cluster to talk to",
		},
		"Controller": {
			packages: "internal/controller/...",
			never:    []string{module + "internal/proxy"},
			why:      "the controller describes what a proxy does and does nothing of it itself",
		},
	}
}

// pure is the rule of code that gets objects and returns values.
func pure(packages string) rule {
	return rule{
		packages: packages,
		never:    []string{"k8s.io/client-go/kubernetes", "k8s.io/client-go/rest", "sigs.k8s.io/controller-runtime", module + "internal/controller", module + "internal/proxy"},
		why:      "pure code gets objects and returns values: it can reach no cluster",
	}
}

func TestImports(t *testing.T) {
	for name, rule := range rules() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for pkg, imports := range dependencies(t, rule.packages) {
				for _, imported := range imports {
					if within(imported, rule.never) && !within(imported, rule.but) {
						t.Errorf("%s imports %s (see go mod why): %s", pkg, imported, rule.why)
					}
				}
			}
		})
	}
}

// dependencies lists all that each package of some patterns imports, directly or not.
func dependencies(t *testing.T, patterns string) map[string][]string {
	t.Helper()
	list := exec.CommandContext(t.Context(), "go", "list", "-f", "{{.ImportPath}} {{join .Deps \" \"}}")
	for pattern := range strings.FieldsSeq(patterns) {
		list.Args = append(list.Args, "./"+pattern)
	}
	list.Dir = ".."
	output, err := list.Output()
	if err != nil {
		t.Fatalf("go list %s: %v", patterns, err)
	}
	packages := map[string][]string{}
	for line := range strings.Lines(string(output)) {
		words := strings.Fields(line)
		packages[words[0]] = words[1:]
	}
	if len(packages) == 0 {
		t.Fatalf("no package matches %s: mend the rule", patterns)
	}
	return packages
}

// within reports whether path is one of the given paths, or below one.
func within(path string, parents []string) bool {
	return slices.ContainsFunc(parents, func(parent string) bool {
		parent = strings.TrimSuffix(parent, "/")
		return path == parent || strings.HasPrefix(path, parent+"/")
	})
}

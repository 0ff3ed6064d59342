package main

import (
	"bytes"
	"context"
	"fmt"
	"go/ast"
	"os/exec"
	"slices"
	"strconv"
	"strings"
)

// foreignImports counts Kubernetes packages among all that the model and the
// data plane import, directly or not.
func foreignImports(ctx context.Context, root string) (row, error) {
	list := exec.CommandContext(ctx, "go", "list", "-deps", "./internal/ir/...", "./internal/ai/...", "./internal/proxy/...", "./internal/push/...")
	list.Dir = root
	var stderr bytes.Buffer
	list.Stderr = &stderr
	output, err := list.Output()
	if err != nil {
		return row{}, fmt.Errorf("go list -deps: %w: %s", err, stderr.String())
	}
	var found []string
	for pkg := range strings.FieldsSeq(string(output)) {
		if strings.HasPrefix(pkg, "k8s.io/") || strings.HasPrefix(pkg, "sigs.k8s.io/") {
			found = append(found, pkg)
		}
	}
	return none("4", "Kubernetes packages in the proxy", found), nil
}

// impurities finds the clock, the network, loggers, clients and panics in the
// rooms that must be pure.
func (t *tree) impurities() row {
	var found []string
	for _, f := range t.in("internal/translate", "internal/engine", "internal/status", "internal/infra", "internal/inject") {
		for _, imported := range f.ast.Imports {
			path, err := strconv.Unquote(imported.Path.Value)
			if err == nil && impureImport(path) {
				found = append(found, t.where(imported)+" imports "+path)
			}
		}
		ast.Inspect(f.ast, func(n ast.Node) bool {
			if call, ok := n.(*ast.CallExpr); ok {
				if name := callee(call); impureCall(name) {
					found = append(found, t.where(call)+" calls "+name)
				}
			}
			return true
		})
	}
	return none("5", "impurities in the pure rooms", found)
}

// sleeps finds tests that sleep outside testing/synctest, where time is real.
func (t *tree) sleeps() row {
	var found []string
	for _, f := range t.tests() {
		if slices.ContainsFunc(f.ast.Imports, func(i *ast.ImportSpec) bool { return i.Path.Value == `"testing/synctest"` }) {
			continue
		}
		ast.Inspect(f.ast, func(n ast.Node) bool {
			if call, ok := n.(*ast.CallExpr); ok && callee(call) == "time.Sleep" {
				found = append(found, t.where(call))
			}
			return true
		})
	}
	return none("5", "sleeps in tests outside synctest", found)
}

func impureImport(path string) bool {
	switch path {
	case "net/http", "log", "log/slog", "github.com/go-logr/logr", "os", "os/exec":
		return true
	}
	return strings.HasPrefix(path, "k8s.io/client-go") || strings.HasPrefix(path, "sigs.k8s.io/controller-runtime") || strings.HasPrefix(path, "math/rand")
}

func impureCall(name string) bool {
	switch name {
	case "panic", "time.Now", "time.Since", "time.Until", "time.Sleep", "metav1.Now", "net.Dial", "net.Listen":
		return true
	}
	return false
}

// callee is the name of a called function: f or pkg.f; empty for all others.
func callee(call *ast.CallExpr) string {
	switch fn := call.Fun.(type) {
	case *ast.Ident:
		return fn.Name
	case *ast.SelectorExpr:
		if x, ok := fn.X.(*ast.Ident); ok {
			return x.Name + "." + fn.Sel.Name
		}
	}
	return ""
}

// none is a row whose target is that nothing was found.
func none(number, what string, found []string) row {
	return row{number: number, what: what, measured: itoa(len(found)), target: "0", met: len(found) == 0, places: found}
}

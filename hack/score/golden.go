package main

import (
	"context"
	"fmt"
	"go/ast"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

const (
	goldenDir      = "internal/translate/testdata"
	goldenDriver   = "internal/translate/golden_test.go"
	goldenLinesMax = 200
	driverMax      = 80
)

// goldenCases compares the golden cases of translation with the names of the
// upstream conformance tests, and measures the cases and their driver.
func goldenCases(ctx context.Context, root string, t *tree) ([]row, error) {
	paths, err := filepath.Glob(filepath.Join(root, goldenDir, "*.txtar"))
	if err != nil {
		return nil, err
	}
	var cases []string
	var lines []size
	var withoutStatus []string
	for _, path := range paths {
		content, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		cases = append(cases, strings.TrimSuffix(filepath.Base(path), ".txtar"))
		lines = append(lines, size{strings.Count(string(content), "\n"), path})
		if !strings.Contains(string(content), "-- status.yaml --") {
			withoutStatus = append(withoutStatus, path)
		}
	}
	names, err := conformanceTests(ctx, root)
	if err != nil {
		return nil, err
	}
	missing := slices.DeleteFunc(slices.Clone(names), func(name string) bool { return slices.Contains(cases, name) })
	return []row{
		{
			number: "6", what: "conformance tests with a golden case",
			measured: fmt.Sprintf("%d of %d", len(names)-len(missing), len(names)), target: "all",
			met: len(missing) == 0 && len(names) > 0, places: missing,
		},
		greatest("6", "golden file lines", lines, goldenLinesMax),
		none("6", "golden files without status", withoutStatus),
		t.driver(),
	}, nil
}

// conformanceTests names the upstream tests of the kinds that translation
// handles. They are read from the source of the suite.
func conformanceTests(ctx context.Context, root string) ([]string, error) {
	list := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", "sigs.k8s.io/gateway-api/conformance")
	list.Dir = filepath.Join(root, "test/e2e/conformance")
	if _, err := os.Stat(filepath.Join(list.Dir, "go.mod")); err != nil {
		list.Dir = filepath.Join(root, "test/e2e")
	}
	output, err := list.Output()
	if err != nil {
		return nil, fmt.Errorf("where is the conformance suite? go list -m: %w", err)
	}
	short := regexp.MustCompile(`ShortName:\s+"((?:HTTPRoute|GRPC|TLSRoute|TCPRoute|UDPRoute|Gateway|ListenerSet|BackendTLSPolicy|Mesh)\w*)"`)
	var names []string
	err = filepath.WalkDir(filepath.Join(strings.TrimSpace(string(output)), "tests"), func(path string, _ os.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".go") {
			return err
		}
		source, err := os.ReadFile(path)
		for _, match := range short.FindAllSubmatch(source, -1) {
			names = append(names, string(match[1]))
		}
		return err
	})
	slices.Sort(names)
	return names, err
}

// driver measures the test that runs the golden cases.
func (t *tree) driver() row {
	lines := 0
	functions(t.tests(), func(f file, fn *ast.FuncDecl) {
		if f.path == goldenDriver {
			lines += t.length(fn)
		}
	})
	return row{
		number: "6", what: "golden driver lines", measured: itoa(lines), target: fmt.Sprintf("max %d", driverMax),
		met: lines > 0 && lines <= driverMax, places: []string{goldenDriver},
	}
}

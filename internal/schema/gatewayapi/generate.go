//go:build ignore

// Generate copies the CustomResourceDefinitions of the Gateway API module that
// go.mod names, without descriptions and as compact JSON: a Go program cannot
// embed files of another module, and two thirds of them are prose.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"sigs.k8s.io/yaml"
)

func main() {
	out := flag.String("out", ".", "folder to write to")
	flag.Parse()
	if err := run(*out); err != nil {
		fmt.Fprintln(os.Stderr, "generate:", err)
		os.Exit(1)
	}
}

func run(out string) error {
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "sigs.k8s.io/gateway-api").Output()
	if err != nil {
		return fmt.Errorf("find the Gateway API module: %w", err)
	}
	files, err := filepath.Glob(filepath.Join(strings.TrimSpace(string(dir)), "config/crd/experimental/gateway.networking.k8s.io_*s.yaml"))
	if err != nil {
		return err
	}
	for _, file := range files {
		if strings.Contains(file, "_vap_") {
			continue
		}
		if err := copyCompact(file, out); err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
	}
	return nil
}

func copyCompact(file, out string) error {
	b, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var crd map[string]any
	if err := yaml.Unmarshal(b, &crd); err != nil {
		return err
	}
	delete(crd, "status")
	strip(crd, false)
	b, err = json.Marshal(crd)
	if err != nil {
		return err
	}
	name := strings.TrimSuffix(strings.TrimPrefix(filepath.Base(file), "gateway.networking.k8s.io_"), ".yaml") + ".json"
	return os.WriteFile(filepath.Join(out, name), append(b, '\n'), 0o644)
}

// strip removes descriptions from v. names says that v's keys are names of
// fields, of which one may be "description".
func strip(v any, names bool) {
	switch v := v.(type) {
	case map[string]any:
		if _, isText := v["description"].(string); isText && !names {
			delete(v, "description")
		}
		for key, child := range v {
			strip(child, !names && key == "properties")
		}
	case []any:
		for _, child := range v {
			strip(child, false)
		}
	}
}

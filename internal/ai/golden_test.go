package ai

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"
)

var update = flag.Bool("update", false, "write the golden files anew")

// golden runs every case of a folder of testdata: a file whose parts are inputs,
// each followed by what becomes of it. outcome makes these parts of the inputs
// among them.
func golden(t *testing.T, folder string, outcome func(t *testing.T, parts []txtar.File) []txtar.File) {
	files, err := filepath.Glob(filepath.Join("testdata", folder, "*.txtar"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			in, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			compare(t, file, txtar.Format(&txtar.Archive{Comment: in.Comment, Files: outcome(t, in.Files)}))
		})
	}
}

// forClient is the outcome of cases that begin with the client's request
// (NAME.json) and go on with what providers answer to it (NAME.PROVIDER): got
// says what the client gets.
func forClient(got func(t *testing.T, request []byte, p Provider, name string, body []byte) string) func(*testing.T, []txtar.File) []txtar.File {
	return func(t *testing.T, parts []txtar.File) (out []txtar.File) {
		var request []byte
		for _, f := range parts {
			name, kind, _ := strings.Cut(f.Name, ".")
			switch kind {
			case "json":
				request = f.Data
				out = append(out, f)
			case "anthropic", "bedrock", "openai":
				out = append(out, f, txtar.File{Name: name + ".client", Data: []byte(got(t, request, Provider(kind), name, f.Data))})
			}
		}
		return out
	}
}

// compare holds got against a golden file, which -update writes before.
func compare(t *testing.T, file string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

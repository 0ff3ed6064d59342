package schema

import (
	"bytes"
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"
)

// golden returns the golden files of a folder of internal/ai/testdata, by
// case: the name of the archive without its ending.
func golden(t *testing.T, folder string) map[string]*txtar.Archive {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("../../internal/ai/testdata", folder, "*.txtar"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no golden files in %s: %v", folder, err)
	}
	cases := map[string]*txtar.Archive{}
	for _, file := range files {
		a, err := txtar.ParseFile(file)
		if err != nil {
			t.Fatal(err)
		}
		cases[strings.TrimSuffix(filepath.Base(file), ".txtar")] = a
	}
	return cases
}

// bodyOf returns the body that a golden file holds: it is one line. A golden
// file without one holds an error.
func bodyOf(data []byte) []byte {
	for line := range bytes.Lines(data) {
		if bytes.HasPrefix(line, []byte("{")) {
			return bytes.TrimSpace(line)
		}
	}
	return nil
}

// decode returns JSON with its numbers as they are.
func decode(t *testing.T, data []byte) any {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		t.Fatalf("%v in %s", err, data)
	}
	return v
}

// report fails the test for every problem.
func report(t *testing.T, body []byte, problems []string) {
	t.Helper()
	for _, p := range problems {
		t.Error(p)
	}
	if len(problems) > 0 {
		t.Logf("of %s", body)
	}
}

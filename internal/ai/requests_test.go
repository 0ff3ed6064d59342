package ai

import (
	"encoding/json/jsontext"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"

	"github.com/citoroute/citoroute/internal/ai/chat"
)

var update = flag.Bool("update", false, "write the golden files anew")

// TestRequests translates every case of testdata/requests for every provider.
// A case is one or more inputs (NAME.json), each followed by what becomes of
// it: NAME.anthropic and NAME.bedrock, a body and the parameters dropped, or
// the error that the client gets.
func TestRequests(t *testing.T) {
	files, err := filepath.Glob("testdata/requests/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) { requestCase(t, file) })
	}
}

func requestCase(t *testing.T, file string) {
	in, err := txtar.ParseFile(file)
	if err != nil {
		t.Fatal(err)
	}
	out := &txtar.Archive{Comment: in.Comment}
	for _, f := range in.Files {
		name, ok := strings.CutSuffix(f.Name, ".json")
		if !ok {
			continue
		}
		out.Files = append(out.Files, f)
		for _, p := range []Provider{Anthropic, Bedrock} {
			out.Files = append(out.Files, txtar.File{Name: name + "." + string(p), Data: []byte(translated(t, p, f.Data))})
		}
	}
	got := txtar.Format(out)
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

// models are chosen so that both providers have the abilities of their newest
// generation but one.
var models = map[Provider]string{Anthropic: "claude-sonnet-4-5", Bedrock: "anthropic.claude-sonnet-4-5-20250929-v1:0"}

func translated(t *testing.T, p Provider, body []byte) string {
	t.Helper()
	c, err := Parse(Chat, body)
	var a *Attempt
	if err == nil {
		o := chat.Options{Model: models[p]}
		if strings.Contains(c.Model, "claude") {
			o.Model = "" // the case chooses
		}
		a, err = c.Attempt(p, o)
	}
	if refused, ok := errors.AsType[*chat.Error](err); ok {
		return "error " + refused.Error() + "\n"
	}
	if err != nil {
		t.Fatal(err)
	}
	if !jsontext.Value(a.Wire.Body).IsValid() {
		t.Fatalf("the body is not JSON: %s", a.Wire.Body)
	}
	s := string(a.Wire.Body) + "\n"
	if p == Bedrock && strings.Contains(a.Wire.Path, "%2F") {
		s = a.Wire.Path + "\n" + s
	}
	if len(a.Wire.Dropped) > 0 {
		s += "dropped: " + strings.Join(a.Wire.Dropped, ", ") + "\n"
	}
	return s
}

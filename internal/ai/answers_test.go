package ai

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"

	"github.com/citoroute/citoroute/internal/ai/chat"
)

// TestAnswers translates every whole answer of testdata/answers. A case is the
// client's request (request.json, of any protocol) and the provider's answers
// (NAME.anthropic, NAME.bedrock, NAME.openai), each followed by what the client
// gets (NAME.client). An answer whose name is a number is one with that
// status.
func TestAnswers(t *testing.T) {
	files, err := filepath.Glob("testdata/answers/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) { answerCase(t, file) })
	}
}

func answerCase(t *testing.T, file string) {
	in, err := txtar.ParseFile(file)
	if err != nil {
		t.Fatal(err)
	}
	out := &txtar.Archive{Comment: in.Comment}
	var request []byte
	for _, f := range in.Files {
		name, kind, _ := strings.Cut(f.Name, ".")
		switch kind {
		case "json":
			request = f.Data
			out.Files = append(out.Files, f)
		case "anthropic", "bedrock", "openai":
			out.Files = append(out.Files, f, txtar.File{Name: name + ".client", Data: []byte(answered(t, request, Provider(kind), name, f.Data))})
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

func answered(t *testing.T, request []byte, p Provider, name string, body []byte) string {
	t.Helper()
	c, err := Parse(protocolOf(request), request)
	if err != nil {
		t.Fatal(err)
	}
	a, err := c.Attempt(p, chat.Options{Model: modelFor(p, c.Model)})
	if err != nil {
		t.Fatal(err)
	}
	a.Wire.ResponseID = "id"
	if status, err := strconv.Atoi(name); err == nil {
		return refused(protocolOf(request), a, status, body)
	}
	out, err := a.Response(body, 1)
	if e, ok := errors.AsType[*chat.Error](err); ok {
		if out.Counted {
			return fmt.Sprintf("error %v\nusage %d+%d\n", e, out.Usage.Prompt, out.Usage.Completion)
		}
		return "error " + e.Error() + "\n"
	}
	if u := out.Usage; out.Counted && (u.CacheRead+u.CacheWrite > u.Prompt || u.Reasoning > u.Completion) {
		t.Errorf("%s: usage does not add up: %+v", name, u)
	}
	return string(out.Body) + "\n"
}

func refused(protocol Protocol, a *Attempt, status int, body []byte) string {
	text := strings.TrimSpace(string(body))
	kind, text, _ := strings.Cut(text, "|") // the error type header, for Bedrock
	e := a.Error(status, func(string) string { return kind }, []byte(text))
	return strconv.Itoa(e.Status) + " " + string(EncodeError(protocol, e)) + "\n"
}

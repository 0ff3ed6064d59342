package ai

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/citoroute/citoroute/internal/ai/chat"
)

// TestAnswers translates every whole answer of testdata/answers. A case is the
// client's request (request.json, of any protocol) and the provider's answers
// (NAME.anthropic, NAME.bedrock, NAME.openai), each followed by what the client
// gets (NAME.client). An answer whose name is a number is one with that
// status.
func TestAnswers(t *testing.T) { golden(t, "answers", forClient(answered)) }

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

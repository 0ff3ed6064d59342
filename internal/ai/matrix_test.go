package ai

import (
	"bytes"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"
)

// askers are a request of each client protocol for a stream.
var askers = map[Protocol]string{
	Chat:      `{"model":"m","stream":true,"stream_options":{"include_usage":true},"messages":[{"role":"user","content":"hi"}],"tools":[{"type":"function","function":{"name":"a.b"}}]}`,
	Messages:  `{"model":"m","stream":true,"max_tokens":100,"messages":[{"role":"user","content":"hi"}],"tools":[{"name":"a.b","input_schema":{"type":"object"}}]}`,
	Responses: `{"model":"m","stream":true,"input":"hi","tools":[{"type":"function","name":"a.b"}]}`,
}

// recording is a stream of a provider, and the request of the client that it
// goes to.
type recording struct {
	name     string
	provider Provider
	raw      []byte
	request  []byte
}

// recordings are all recorded streams, each for clients of every protocol.
// What OpenAI sends to clients of its responses is for them alone.
func recordings(t testing.TB) []recording {
	t.Helper()
	files, err := filepath.Glob("testdata/streams/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no streams: %v", err)
	}
	var all []recording
	for _, file := range files {
		archive, err := txtar.ParseFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var own Protocol
		for _, f := range archive.Files {
			name, kind, _ := strings.Cut(f.Name, ".")
			switch kind {
			case "json":
				own = protocolOf(f.Data)
			case "anthropic", "bedrock", "openai":
				for protocol, request := range askers {
					if kind == "openai" && (own == Responses) != (protocol == Responses) {
						continue
					}
					all = append(all, recording{
						name:     strings.TrimSuffix(filepath.Base(file), ".txtar") + "/" + name + "/" + kind + "/" + string(protocol),
						provider: Provider(kind), raw: rawStream(kind, f.Data), request: []byte(request),
					})
				}
			}
		}
	}
	return all
}

// play is what the client gets of a recording that comes in pieces.
func (r recording) play(t *testing.T, pieces ...[]byte) string {
	return relayed(t, r.request, r.provider, pieces...)
}

// stride keeps the number of cuts of a long stream in bounds; it is odd, so that
// over all streams every place in an event is cut.
func stride(raw []byte) int { return len(raw)/150 | 1 }

func TestT56_AnySplitGivesTheSame(t *testing.T) {
	for _, r := range recordings(t) {
		t.Run(r.name, func(t *testing.T) {
			want := r.play(t, r.raw)
			for i := 0; i < len(r.raw); i += stride(r.raw) {
				if got := r.play(t, r.raw[:i], r.raw[i:]); got != want {
					t.Fatalf("split at %d: -whole +split:\n%s", i, cmp.Diff(want, got))
				}
			}
			for _, size := range []int{1, 2, 3, 7} {
				if got := r.play(t, slices.Collect(slices.Chunk(r.raw, size))...); got != want {
					t.Fatalf("%d bytes at a time: -whole +split:\n%s", size, cmp.Diff(want, got))
				}
			}
		})
	}
}

// ends are what says to a client that its answer is whole, and finishes what
// says that the model has finished.
var (
	ends = map[Protocol][]string{
		Chat:      {"data: [DONE]"},
		Messages:  {"event: message_stop"},
		Responses: {"event: response.completed", "event: response.incomplete"},
	}
	finishes = map[Protocol][]string{
		Chat:      {`"finish_reason":"`, "data: [DONE]"},
		Messages:  {`"stop_reason":"`, "event: message_stop"},
		Responses: {"event: response.completed", "event: response.incomplete"},
	}
)

// boundaries are the places between the events of a stream, its end left out.
func (r recording) boundaries() []int {
	var all []int
	if r.provider != Bedrock {
		for i := 0; ; {
			n := bytes.Index(r.raw[i:], []byte("\n\n"))
			if n < 0 || i+n+2 >= len(r.raw) {
				return all
			}
			i += n + 2
			all = append(all, i)
		}
	}
	for i := 0; i+4 <= len(r.raw); {
		i += int(r.raw[i])<<24 | int(r.raw[i+1])<<16 | int(r.raw[i+2])<<8 | int(r.raw[i+3])
		if i < len(r.raw) {
			all = append(all, i)
		}
	}
	return all
}

func TestT59_CutAnywhereNeverEnds(t *testing.T) {
	for _, r := range recordings(t) {
		t.Run(r.name, func(t *testing.T) {
			cuts := r.boundaries()
			for i := 0; i < len(r.raw)-1; i += stride(r.raw) {
				cuts = append(cuts, i)
			}
			for _, cut := range cuts {
				got := r.play(t, r.raw[:cut])
				if complete(r, cut) {
					continue
				}
				if !strings.Contains(got, "outcome: ") {
					t.Fatalf("cut at %d the stream counts as whole:\n%s", cut, got)
				}
				for _, end := range ends[protocolOf(r.request)] {
					if strings.Contains(got, end) {
						t.Fatalf("cut at %d the stream ends as if it were whole:\n%s", cut, got)
					}
				}
				for _, finish := range finishes[protocolOf(r.request)] {
					if strings.Contains(got, finish) && !finished(r.raw[:cut]) {
						t.Fatalf("cut at %d the client is told of a finish that did not come:\n%s", cut, got)
					}
				}
			}
		})
	}
}

// complete says that nothing of an answer is missing where its stream is cut:
// Bedrock may leave out the metadata that follow the last event.
func complete(r recording, cut int) bool {
	if r.provider != Bedrock {
		return len(bytes.TrimSpace(r.raw[cut:])) == 0
	}
	return finished(r.raw[:cut]) && slices.Contains(r.boundaries(), cut)
}

// finished says that the provider has told why it stopped.
func finished(raw []byte) bool {
	for _, said := range []string{`"stop_reason":"`, `"finish_reason":"`, `"stopReason":"`, "event: response.completed"} {
		if bytes.Contains(raw, []byte(said)) {
			return true
		}
	}
	return false
}

// TestT63_RoleOnce: an answer begins once, in every protocol. What is relayed
// is as the provider says it.
func TestT63_RoleOnce(t *testing.T) {
	begins := map[Protocol]string{Chat: `"role":"assistant"`, Messages: "event: message_start", Responses: "event: response.created"}
	for _, r := range recordings(t) {
		if r.provider == clientOf(protocolOf(r.request)).native {
			continue
		}
		got := r.play(t, r.raw)
		if !strings.Contains(got, "data: ") || strings.HasPrefix(got, "outcome: ") {
			continue // it failed before its content
		}
		if n := strings.Count(got, begins[protocolOf(r.request)]); n != 1 {
			t.Errorf("%s: %d beginnings:\n%s", r.name, n, got)
		}
	}
}

// TestT69_StreamsAtOnce: streams that are read at the same time do not mix.
func TestT69_StreamsAtOnce(t *testing.T) {
	all := recordings(t)
	var group sync.WaitGroup
	for round := range 4 {
		for _, r := range all {
			want := r.play(t, r.raw)
			group.Go(func() {
				if got := r.play(t, slices.Collect(slices.Chunk(r.raw, 11+round))...); got != want {
					t.Errorf("%s: -alone +among others:\n%s", r.name, cmp.Diff(want, got))
				}
			})
		}
	}
	group.Wait()
}

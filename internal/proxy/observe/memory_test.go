package observe

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"unsafe"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/common/expfmt"

	"github.com/citoroute/citoroute/internal/ai/chat"
	"github.com/citoroute/citoroute/internal/proxy/exchange"
	"github.com/citoroute/citoroute/internal/proxy/runtime"
	"github.com/citoroute/citoroute/internal/proxy/trace"
)

// slab is the memory of an exchange. Its zero value is ready.
type slab struct{ parts [][]byte }

func (s *slab) put(text string) string {
	if text == "" {
		return ""
	}
	b := []byte(text)
	s.parts = append(s.parts, b)
	return unsafe.String(&b[0], len(b))
}

// spoil is what becomes of the memory when the exchange is over.
func (s *slab) spoil() {
	for _, b := range s.parts {
		for i := range b {
			b[i] = 0xDB
		}
	}
}

// record puts all that a client or a provider has said into the memory of the
// exchange.
func (s *slab) record(rec *runtime.Record) {
	for _, text := range []*string{
		&rec.Method, &rec.Authority, &rec.Path, &rec.Query, &rec.UserAgent, &rec.RequestID, &rec.LLM.Asked,
	} {
		*text = s.put(*text)
	}
	rec.LLM.Content = []byte(`,"content":"said"`)
	s.parts = append(s.parts, rec.LLM.Content)
	for i := range rec.LLM.Attempts {
		a := &rec.LLM.Attempts[i]
		a.Model, a.Outcome.ID, a.Outcome.Model = s.put(a.Model), s.put(a.Outcome.ID), s.put(a.Outcome.Model)
		if e, ok := a.Err.(*chat.Error); ok {
			a.Err = &chat.Error{Status: e.Status, Type: s.put(e.Type), Code: s.put(e.Code), Message: s.put(e.Message), Param: s.put(e.Param)}
		}
	}
}

// told is all that an observer tells of an exchange, and then of another one
// that is like it. Where a slab is given, it is the memory of the first one, which
// is over by then.
func told(t *testing.T, code string, s *slab) string {
	t.Helper()
	var log bytes.Buffer
	o := New(Options{AccessLog: &log})
	var out strings.Builder
	for i := range 2 {
		rec := failedOver(o)
		rec.Trace = trace.Trace{ID: trace.ID{1}, Own: trace.Span{2}, Sampled: true}
		rec.Authority, rec.UserAgent, rec.RequestID, rec.Proto = "example.org", "agent", "id-1", exchange.HTTP11
		rec.LLM.Content = []byte(`,"content":"said"`)
		rec.LLM.Attempts[0].Err = chat.ProviderError(429, code, "slow down")
		rec.LLM.Attempts[1].Err = chat.ProviderError(502, code, "broken")
		if s != nil && i == 0 {
			s.record(rec)
		}
		o.Done(rec)
		spans := spansOf(rec)
		if s != nil {
			s.spoil()
		}
		for _, span := range spans {
			fmt.Fprintln(&out, strings.ReplaceAll(span.String(), "  ", " "))
		}
	}
	o.Close()
	families, err := o.Registry().Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if strings.HasPrefix(f.GetName(), "citoroute_") || strings.HasPrefix(f.GetName(), "gen_ai_") {
			if _, err := expfmt.MetricFamilyToText(&out, f); err != nil {
				t.Error(err)
			}
		}
	}
	return out.String() + log.String()
}

// Codes of errors may be a provider's own, in its header or body, and by chance
// those of the gateway.
func TestDone_KeepsNothingOfTheExchange(t *testing.T) {
	for _, code := range []string{chat.CodeUpstream, chat.CodeTruncated, "ThrottlingException"} {
		t.Run(code, func(t *testing.T) {
			if diff := cmp.Diff(told(t, code, nil), told(t, code, &slab{})); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

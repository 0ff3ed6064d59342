package llm

import (
	"errors"
	"testing"

	"github.com/citoroute/citoroute/internal/ai/chat"
	"github.com/citoroute/citoroute/internal/ir"
	"github.com/citoroute/citoroute/internal/proxy/exchange"
	"github.com/citoroute/citoroute/internal/proxy/upstream"
)

// TestCheck_RefusesWithoutTheBody what no body has to be read for.
func TestCheck_RefusesWithoutTheBody(t *testing.T) {
	for name, c := range map[string]struct {
		method, kind, coding string
		length               int64
		none                 bool
		want                 int // 0: it passes
	}{
		"Plain":       {method: "POST", kind: "application/json", length: 10},
		"NoType":      {method: "POST"},
		"Charset":     {method: "POST", kind: "Application/JSON ; charset=utf-8"},
		"Identity":    {method: "POST", coding: "Identity"},
		"OtherMethod": {method: "PUT", want: 405},
		"NoBody":      {method: "POST", none: true, want: 400},
		"TooLarge":    {method: "POST", length: 11, want: 413},
		"OtherType":   {method: "POST", kind: "text/plain", want: 415},
		"Coded":       {method: "POST", coding: "gzip", want: 415},
	} {
		t.Run(name, func(t *testing.T) {
			req := &exchange.Request{Method: c.method, ContentLength: c.length, Body: upstream.NewBody(nil)}
			if c.none {
				req.Body = nil
			}
			if c.kind != "" {
				req.Header.Add("Content-Type", c.kind)
			}
			if c.coding != "" {
				req.Header.Add("Content-Encoding", c.coding)
			}
			err := Check(req, 10)
			if e, ok := errors.AsType[*chat.Error](err); ok != (c.want != 0) || ok && (e.Status != c.want || e.Type != chat.TypeInvalidRequest || e.Message == "") {
				t.Errorf("%v", err)
			}
		})
	}
}

// TestFor: a credential goes to the provider that the attempt was made for.
func TestFor(t *testing.T) {
	a, _, err := attempt(t, "openai", request)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		is   *ir.LLMProvider
		want bool
	}{
		"Same":          {&ir.LLMProvider{Provider: "openai", Host: "provider.example"}, true},
		"OtherHost":     {&ir.LLMProvider{Provider: "openai", Host: "other.example"}, false},
		"OtherProvider": {&ir.LLMProvider{Provider: "anthropic", Host: "provider.example"}, false},
		"None":          {nil, false},
	} {
		if got := a.For(&upstream.Config{Backend: &ir.Backend{LLM: c.is}}); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

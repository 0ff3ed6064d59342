package standalone

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/citoroute/citoroute/internal/ir"
)

func TestCurl_AsksAnLLMRouteAsClientsDo(t *testing.T) {
	chat := `"stream":true,"messages":[{"role":"user","content":"Hello!"}]}'`
	for name, tc := range map[string]struct {
		match     ir.PathMatch
		consumers []string
		want      string // after the origin
	}{
		"Chat":       {ir.PathMatch{Type: ir.MatchPrefix, Value: "/v1/chat/completions"}, nil, `/v1/chat/completions -H 'Content-Type: application/json' -d '{"model":"fake-large",` + chat},
		"Base":       {ir.PathMatch{Type: ir.MatchPrefix, Value: "/v1"}, nil, `/v1/chat/completions -H 'Content-Type: application/json' -d '{"model":"fake-large",` + chat},
		"Folder":     {ir.PathMatch{Type: ir.MatchPrefix, Value: "/team/"}, nil, `/team/v1/chat/completions -H 'Content-Type: application/json' -d '{"model":"fake-large",` + chat},
		"Exact":      {ir.PathMatch{Type: ir.MatchExact, Value: "/ask"}, nil, `/ask -H 'Content-Type: application/json' -d '{"model":"fake-large",` + chat},
		"Embeddings": {ir.PathMatch{Type: ir.MatchPrefix, Value: "/v1/embeddings"}, nil, `/v1/embeddings -H 'Content-Type: application/json' -d '{"model":"fake-large","input":"Hello!"}'`},
		"Messages":   {ir.PathMatch{Type: ir.MatchPrefix, Value: "/v1/messages"}, nil, `/v1/messages -H 'Content-Type: application/json' -d '{"model":"fake-large","max_tokens":100,` + chat},
		"Consumers":  {ir.PathMatch{Type: ir.MatchPrefix, Value: "/v1"}, []string{"default/a"}, `/v1/chat/completions -H 'Content-Type: application/json' -H 'Authorization: Bearer YOUR-KEY' -d '{"model":"fake-large",` + chat},
	} {
		t.Run(name, func(t *testing.T) {
			rule := ir.Rule{Matches: []ir.Match{{Path: tc.match}}, LLM: &ir.LLMAction{Consumers: tc.consumers}}
			got := curl(&ir.Route{Rules: []ir.Rule{rule}}, &ir.Listener{Port: 80}, netip.MustParseAddrPort("127.0.0.1:8080"))
			if got, _ = strings.CutPrefix(got, "curl http://127.0.0.1:8080"); got != tc.want {
				t.Errorf("got  %s\nwant %s", got, tc.want)
			}
		})
	}
}

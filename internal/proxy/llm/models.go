package llm

import (
	"net/url"
	"strings"

	"github.com/citoroute/citoroute/internal/ai"
	"github.com/citoroute/citoroute/internal/proxy/exchange"
)

// AsksForModels says that a path asks for the list of models, or for the one
// whose id is not empty; prefix is the part of it that the rule matched.
func AsksForModels(path, prefix string) (id string, ok bool) {
	rest := strings.TrimPrefix(path, prefix)
	if !strings.HasSuffix(prefix, "/models") {
		if rest, ok = strings.CutPrefix(strings.TrimPrefix(rest, "/v1"), "/models"); !ok {
			return "", false
		}
	}
	id, sub := strings.CutPrefix(rest, "/")
	if !sub && rest != "" {
		return "", false
	}
	id, err := url.PathUnescape(id)
	return id, err == nil
}

// ModelsProtocol says which protocol a client that asks for models speaks: of
// those that do, Anthropic's alone send a version.
func ModelsProtocol(req *exchange.Request) ai.Protocol {
	if req.Header.Has("Anthropic-Version") {
		return ai.Messages
	}
	return ai.Chat
}

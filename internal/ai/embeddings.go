package ai

import (
	"github.com/citoroute/citoroute/internal/ai/bedrock"
	"github.com/citoroute/citoroute/internal/ai/chat"
	"github.com/citoroute/citoroute/internal/ai/embed"
	"github.com/citoroute/citoroute/internal/ai/openai"
)

// embedder is what a provider's package offers for embeddings.
type embedder struct {
	build  func(*embed.Request, chat.Options) (*chat.Wire, error)
	decode func(*chat.Wire, []byte) (*embed.Response, error)
}

// embedderOf is the one place that knows who makes embeddings, besides OpenAI,
// to which requests are relayed. ok is false for a provider without any.
func embedderOf(p Provider) (e embedder, ok bool) {
	if p == Bedrock {
		return embedder{build: bedrock.BuildEmbeddings, decode: bedrock.DecodeEmbeddings}, true
	}
	return embedder{}, false
}

// embed translates a request for embeddings.
func (c *Call) embed(name Provider, o chat.Options) (*chat.Wire, error) {
	e, ok := embedderOf(name)
	if !ok {
		return nil, chat.Unsupported("", "embeddings are not possible with this provider")
	}
	if c.texts == nil {
		r, err := openai.ParseEmbeddings(c.body)
		if err != nil {
			return nil, err
		}
		c.texts = r
	}
	return e.build(c.texts, o)
}

// embedded translates a whole answer with embeddings.
func (a *Attempt) embedded(body []byte) (Answer, error) {
	e, _ := embedderOf(a.name)
	r, err := e.decode(a.Wire, body)
	if err != nil {
		return Answer{}, asError(err)
	}
	if len(r.Vectors) != len(a.call.texts.Texts) {
		return Answer{}, chat.BadUpstream("the provider answered %d texts with %d vectors", len(a.call.texts.Texts), len(r.Vectors))
	}
	out := Answer{Usage: chat.Usage{Prompt: r.Tokens}, Counted: r.HasTokens, model: r.Model}
	if out.Body, err = openai.EncodeEmbeddings(r, a.call.texts.Base64); err != nil {
		return out, asError(err)
	}
	return out, nil
}

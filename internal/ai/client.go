package ai

import (
	"github.com/citoroute/citoroute/internal/ai/anthropic"
	"github.com/citoroute/citoroute/internal/ai/chat"
	"github.com/citoroute/citoroute/internal/ai/openai"
	"github.com/citoroute/citoroute/internal/ai/responses"
)

// Protocol is what a client speaks.
type Protocol string

// The client protocols.
const (
	Chat       Protocol = "chat"       // OpenAI POST /v1/chat/completions
	Messages   Protocol = "messages"   // Anthropic POST /v1/messages
	Responses  Protocol = "responses"  // OpenAI POST /v1/responses
	Embeddings Protocol = "embeddings" // OpenAI POST /v1/embeddings
	Tokens     Protocol = "tokens"     // Anthropic POST /v1/messages/count_tokens
)

// client is what a client protocol's package offers.
type client struct {
	// embeds says that vectors are asked for, not an answer: see embeddings.go.
	embeds bool
	// counts says that nothing is generated: only the tokens of a request are
	// counted, by the provider that speaks the same protocol.
	counts bool

	parse   func(body []byte, out *chat.Request) error
	encode  func(mem []byte, r *chat.Response, created int64) ([]byte, error)
	encoder func(created int64, asked *openai.Head) encoder
	fail    func(*chat.Error) []byte

	// native is the provider that speaks the same protocol: its bytes are
	// relayed. path is where it is asked; meter says that a stream must be asked
	// for its usage.
	native Provider
	path   string
	header func() []chat.Field
	meter  bool
	relay  func(includeUsage bool) relay
	usage  func(body []byte) (chat.Usage, bool)
	// failure is the error that a whole answer without usage holds in place of
	// what was asked for, if any; nil where the protocol has no such answers.
	failure func(body []byte) *chat.Error
	// outcome reads a whole answer that was relayed.
	outcome func(body []byte) chat.Outcome
}

// encoder writes a client's stream.
type encoder interface {
	Append(dst []byte, e chat.Event) []byte
	AppendError(dst []byte, err *chat.Error) []byte
}

// relay forwards a stream between two sides of the same protocol.
type relay interface {
	Write(dst, p []byte) (out []byte, content bool, err error)
	Close() error
	Usage() chat.Usage
	Outcome() chat.Outcome
	// Said is how much text has been forwarded, in bytes.
	Said() int
}

// clientOf is the one place that knows every client protocol.
func clientOf(p Protocol) client {
	switch p {
	case Chat:
	case Embeddings:
		c := clientOf(Chat)
		c.embeds, c.path, c.meter = true, openai.EmbeddingsPath, false
		return c
	case Tokens:
		c := clientOf(Messages)
		c.counts, c.path = true, anthropic.TokensPath
		c.usage = func([]byte) (chat.Usage, bool) { return chat.Usage{}, true } // it costs nothing
		return c
	case Messages:
		return client{
			parse:   anthropic.Parse,
			encode:  func(_ []byte, r *chat.Response, _ int64) ([]byte, error) { return anthropic.Encode(r) },
			encoder: func(int64, *openai.Head) encoder { return anthropic.NewEncoder() },
			fail:    anthropic.EncodeError,
			native:  Anthropic,
			path:    anthropic.Path,
			header:  anthropic.Header,
			relay:   func(bool) relay { return anthropic.NewRelay() },
			usage:   anthropic.ReadUsage,
			outcome: anthropic.ReadOutcome,
		}
	case Responses:
		return client{
			parse:   responses.Parse,
			encode:  func(_ []byte, r *chat.Response, created int64) ([]byte, error) { return responses.Encode(r, created) },
			encoder: func(created int64, _ *openai.Head) encoder { return responses.NewEncoder(created) },
			fail:    openai.EncodeError,
			native:  OpenAI,
			path:    responses.Path,
			header:  openai.Header,
			relay:   func(bool) relay { return responses.NewRelay() },
			usage:   responses.ReadUsage,
			outcome: responses.ReadOutcome,
		}
	}
	return client{
		parse:   openai.ParseChat,
		encode:  openai.EncodeChat,
		encoder: func(created int64, asked *openai.Head) encoder { return openai.NewChatEncoder(created, asked) },
		fail:    openai.EncodeError,
		native:  OpenAI,
		path:    openai.ChatPath,
		header:  openai.Header,
		meter:   true,
		relay:   func(usage bool) relay { return openai.NewRelay(usage) },
		usage:   openai.ReadUsage,
		failure: openai.Failure,
		outcome: openai.ReadOutcome,
	}
}

// EncodeError writes an error the way a client's protocol does.
func EncodeError(p Protocol, e *chat.Error) []byte { return clientOf(p).fail(e) }

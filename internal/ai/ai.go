package ai

import (
	"errors"

	"github.com/citoroute/citoroute/internal/ai/anthropic"
	"github.com/citoroute/citoroute/internal/ai/bedrock"
	"github.com/citoroute/citoroute/internal/ai/chat"
	"github.com/citoroute/citoroute/internal/ai/openai"
)

// Protocol is what a client speaks.
type Protocol string

// The client protocols.
const (
	Chat Protocol = "chat" // OpenAI chat completions
)

// Provider names a provider, as [ir.LLMProvider] does.
type Provider string

// The providers.
const (
	OpenAI    Provider = "openai"
	Anthropic Provider = "anthropic"
	Bedrock   Provider = "bedrock"
)

// provider is what a provider's package offers.
type provider struct {
	build  func(*chat.Request, chat.Options) (*chat.Wire, error)
	decode func(*chat.Wire, []byte) (*chat.Response, error)
	stream func(*chat.Wire) decoder
	fail   func(status int, header func(string) string, body []byte) *chat.Error
}

// decoder reads a provider's stream.
type decoder interface {
	Write(p []byte, emit func(chat.Event) error) error
	Close(emit func(chat.Event) error) error
}

// encoder writes a client's stream.
type encoder interface {
	Append(dst []byte, e chat.Event) []byte
	AppendError(dst []byte, err *chat.Error) []byte
}

// providerOf is the one place that knows every provider.
func providerOf(p Provider) (provider, bool) {
	switch p {
	case OpenAI:
		return provider{openai.BuildChat, openai.DecodeChat, func(w *chat.Wire) decoder { return openai.NewChatDecoder(w) },
			func(status int, _ func(string) string, body []byte) *chat.Error { return openai.Error(status, body) }}, true
	case Anthropic:
		return provider{anthropic.Build, anthropic.Decode, func(w *chat.Wire) decoder { return anthropic.NewDecoder(w) },
			func(status int, _ func(string) string, body []byte) *chat.Error { return anthropic.Error(status, body) }}, true
	case Bedrock:
		return provider{bedrock.Build, bedrock.Decode, func(w *chat.Wire) decoder { return bedrock.NewDecoder(w) },
			func(status int, header func(string) string, body []byte) *chat.Error {
				return bedrock.Error(status, header("x-amzn-errortype"), body)
			}}, true
	}
	return provider{}, false
}

// Call is one request of a client. Its body is read once, however many
// attempts follow.
type Call struct {
	// Model is what the client asks for; Stream says that it wants a stream.
	Model  string
	Stream bool

	body []byte
	head *openai.Head
	chat *chat.Request // nil until an attempt needs it
}

// Parse reads a client's request. It keeps body. The error is a *chat.Error.
func Parse(_ Protocol, body []byte) (*Call, error) {
	head, err := openai.Scan(body)
	if err != nil {
		return nil, err
	}
	return &Call{Model: head.Model, Stream: head.Stream, body: body, head: head}, nil
}

// Attempt is a Call put to one provider.
type Attempt struct {
	// Wire is the request to send, before credentials are added.
	Wire *chat.Wire

	call     *Call
	provider provider
	relayed  bool // both sides speak the same protocol
}

// Attempt translates the call for a provider. It may be called again, for
// another one. The error is a *chat.Error: no other provider would do better,
// or this one cannot express the request.
func (c *Call) Attempt(name Provider, o chat.Options) (*Attempt, error) {
	p, ok := providerOf(name)
	if !ok {
		return nil, &chat.Error{Status: 500, Type: chat.TypeServer, Message: "the backend's provider is not known"}
	}
	if name == OpenAI {
		return c.relay(p, o)
	}
	if c.chat == nil {
		r, err := openai.ParseChat(c.body)
		if err != nil {
			return nil, err
		}
		c.chat = r
	}
	w, err := p.build(c.chat, o)
	if err != nil {
		return nil, err
	}
	return &Attempt{Wire: w, call: c, provider: p}, nil
}

func (c *Call) relay(p provider, o chat.Options) (*Attempt, error) {
	body, err := c.head.Edit(c.body, o.Model)
	if err != nil {
		return nil, asError(err)
	}
	w := &chat.Wire{
		Path:   "/chat/completions",
		Model:  c.Model,
		Header: []chat.Field{{Name: "content-type", Value: "application/json"}},
		Body:   body,
	}
	if o.Model != "" {
		w.Model = o.Model
	}
	return &Attempt{Wire: w, call: c, provider: p, relayed: true}, nil
}

// Response translates a whole answer with status 2xx; created is in Unix
// seconds. ok says that the provider sent the usage. The error is a *chat.Error.
func (a *Attempt) Response(body []byte, created int64) (out []byte, u chat.Usage, ok bool, err error) {
	if a.relayed {
		u, _, ok = openai.ReadUsage(body)
		return body, u, ok, nil
	}
	r, err := a.provider.decode(a.Wire, body)
	if err != nil {
		return nil, chat.Usage{}, false, err
	}
	if r.Model == "" {
		r.Model = a.Wire.Model
	}
	out, err = openai.EncodeChat(r, created)
	return out, r.Usage, r.HasUsage, err
}

// Error reads an answer whose status is not 2xx. header returns a field of it
// by its lower-case name, or "".
func (a *Attempt) Error(status int, header func(string) string, body []byte) *chat.Error {
	return a.provider.fail(status, header, body)
}

// EncodeError writes an error the way the client's protocol does.
func EncodeError(_ Protocol, e *chat.Error) []byte { return openai.EncodeError(e) }

// asError returns err as the *chat.Error that a client can be told of.
func asError(err error) *chat.Error {
	var e *chat.Error
	if errors.As(err, &e) {
		return e
	}
	return &chat.Error{Status: 500, Type: chat.TypeServer, Message: "the gateway could not process the request"}
}

package ai

import (
	"errors"

	"github.com/citoroute/citoroute/internal/ai/chat"
	"github.com/citoroute/citoroute/internal/ai/embed"
	"github.com/citoroute/citoroute/internal/ai/openai"
	"github.com/citoroute/citoroute/internal/ai/sse"
)

// Call is one request of a client. Its body is read once, however many
// attempts follow.
type Call struct {
	// Model is what the client asks for; Stream says that it wants a stream.
	Model  string
	Stream bool

	client client
	body   []byte
	head   *openai.Head
	chat   *chat.Request  // nil until an attempt needs it
	texts  *embed.Request // the same for embeddings
}

// Parse reads a client's request. It keeps body. The error is a *chat.Error.
func Parse(p Protocol, body []byte) (*Call, error) {
	head, err := openai.Scan(body)
	if err != nil {
		return nil, err
	}
	if head.Stream && (p == Embeddings || p == Tokens) {
		return nil, chat.Invalid("stream", "is not possible for this operation")
	}
	return newCall(p, body, head, nil), nil
}

// ParseToTranslate is Parse for a request that is likely to be translated: it
// takes longer, and less so than a translation after Parse.
func ParseToTranslate(p Protocol, body []byte) (*Call, error) {
	if p != Chat {
		return Parse(p, body)
	}
	head, request, err := openai.ScanChat(body)
	if err != nil {
		return nil, err
	}
	return newCall(p, body, head, request), nil
}

func newCall(p Protocol, body []byte, head *openai.Head, r *chat.Request) *Call {
	return &Call{Model: head.Model, Stream: head.Stream, client: clientOf(p), body: body, head: head, chat: r}
}

// Body is what the client sent.
func (c *Call) Body() []byte { return c.body }

// Attempt is a Call put to one provider.
type Attempt struct {
	// Wire is the request to send, before credentials are added.
	Wire *chat.Wire
	// Memory is what a whole answer may be written into; nil: it gets its own.
	Memory []byte

	call     *Call
	name     Provider
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
	a := &Attempt{call: c, name: name, provider: p, relayed: name == c.client.native}
	var err error
	switch {
	case a.relayed:
		a.Wire, err = c.relay(o)
	case c.client.counts:
		err = chat.Unsupported("", "counting tokens is not possible with this provider")
	case c.client.embeds:
		a.Wire, err = c.embed(name, o)
	default:
		a.Wire, err = c.translate(p, o)
	}
	if err != nil {
		return nil, asError(err)
	}
	return a, nil
}

func (c *Call) translate(p provider, o chat.Options) (*chat.Wire, error) {
	if c.chat == nil {
		r, err := c.client.parse(c.body)
		if err != nil {
			return nil, err
		}
		c.chat = r
	}
	return p.build(c.chat, o)
}

func (c *Call) relay(o chat.Options) (*chat.Wire, error) {
	body, err := c.head.Edit(o.Memory, c.body, o.Model, c.client.meter)
	if err != nil {
		return nil, err
	}
	w := &chat.Wire{Path: c.client.path, Header: c.client.header(), Body: body, Model: c.Model}
	if o.Model != "" {
		w.Model = o.Model
	}
	return w, nil
}

// Answer is a whole answer as the client gets it.
type Answer struct {
	Body []byte
	// Usage is what the answer cost; Counted says that the provider told.
	Usage   chat.Usage
	Counted bool

	id, model string // of one that was translated
	finish    chat.Finish
}

// Outcome is what the provider tells of a whole answer, which a has translated.
// Where it was relayed it is only now looked for in the body.
func (a *Attempt) Outcome(of Answer) chat.Outcome {
	if a.relayed {
		return a.call.client.outcome(of.Body)
	}
	return outcomeOf(of.id, of.model, of.finish)
}

func outcomeOf(id, model string, finish chat.Finish) chat.Outcome {
	out := chat.Outcome{ID: id, Model: model}
	if finish != 0 {
		out.Finishes = []chat.Finish{finish}
	}
	return out
}

// Response translates a whole answer with status 2xx; created is in Unix
// seconds. The error is a *chat.Error; it comes with the usage of an answer that
// the provider counts and that is no use to the client.
func (a *Attempt) Response(body []byte, created int64) (Answer, error) {
	if a.relayed {
		u, ok := a.call.client.usage(body)
		return Answer{Body: body, Usage: u, Counted: ok}, nil
	}
	if a.call.client.embeds {
		return a.embedded(body)
	}
	r, err := a.provider.decode(a.Wire, body)
	var out Answer
	if r != nil {
		out.Usage, out.Counted = r.Usage, r.HasUsage
	}
	if err != nil {
		return out, asError(err)
	}
	if r.Model == "" {
		r.Model = a.Wire.Model
	}
	out.id, out.model, out.finish = r.ID, r.Model, r.Finish
	r.Functions = a.call.head.Functions
	if out.Body, err = a.call.client.encode(a.Memory, r, created); err != nil {
		return out, asError(err)
	}
	return out, nil
}

// Error reads an answer whose status is not 2xx. header returns a field of it
// by its lower-case name, or "".
func (a *Attempt) Error(status int, header func(string) string, body []byte) *chat.Error {
	return a.provider.fail(status, header, body)
}

// asError returns err as the *chat.Error that a client can be told of.
func asError(err error) *chat.Error {
	if e, ok := errors.AsType[*chat.Error](err); ok {
		return e
	}
	if errors.Is(err, sse.ErrTooLong) {
		return chat.BadUpstream("an event of the provider's stream is too long")
	}
	return &chat.Error{Status: 500, Type: chat.TypeServer, Message: "the gateway could not process the request"}
}

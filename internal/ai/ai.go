package ai

import (
	"cmp"
	"errors"
	"sync"

	"github.com/citoroute/citoroute/internal/ai/chat"
	"github.com/citoroute/citoroute/internal/ai/embed"
	"github.com/citoroute/citoroute/internal/ai/openai"
	"github.com/citoroute/citoroute/internal/ai/sse"
	"github.com/citoroute/citoroute/internal/poison"
)

// Call is one request of a client. Its body is read once, however many
// attempts follow. Its zero value is ready for [Call.Read].
type Call struct {
	// Model is what the client asks for; Stream says that it wants a stream.
	Model  string
	Stream bool

	client client
	body   []byte
	head   openai.Head
	chat   chat.Request
	parsed bool           // chat is there: not before an attempt needs it
	texts  *embed.Request // the same for embeddings
}

// Parse reads a client's request. It keeps body. The error is a *chat.Error.
func Parse(p Protocol, body []byte) (*Call, error) {
	c := new(Call)
	return c, c.Read(p, body)
}

// Read makes c a client's request. It keeps body. The error is a *chat.Error.
func (c *Call) Read(p Protocol, body []byte) error {
	if err := c.head.Scan(body); err != nil {
		return err
	}
	if c.head.Stream && (p == Embeddings || p == Tokens) {
		return chat.Invalid("stream", "is not possible for this operation")
	}
	c.begin(p, body)
	return nil
}

// ReadToTranslate is Read for a request that is likely to be translated: it
// takes longer, and less so than a translation after Read.
func (c *Call) ReadToTranslate(p Protocol, body []byte) (err error) {
	if p != Chat {
		return c.Read(p, body)
	}
	if c.parsed, err = c.head.ScanChat(body, &c.chat); err != nil {
		return err
	}
	c.begin(p, body)
	return nil
}

func (c *Call) begin(p Protocol, body []byte) {
	c.Model, c.Stream, c.client, c.body = c.head.Model, c.head.Stream, clientOf(p), body
}

// Reset readies c for the next request. It keeps some of its memory, and nothing
// else: no attempt may still need it.
func (c *Call) Reset() {
	c.chat.Reset()
	c.Model, c.Stream, c.client, c.body, c.head, c.parsed, c.texts = "", false, client{}, nil, openai.Head{}, false, nil
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
	wire     chat.Wire
}

// Attempt translates the call for a provider. It may be called again, for
// another one. The error is a *chat.Error: no other provider would do better,
// or this one cannot express the request.
func (c *Call) Attempt(name Provider, o chat.Options) (*Attempt, error) {
	a := new(Attempt)
	return a, c.Put(a, name, o)
}

// Put is Attempt into a, which is zero.
func (c *Call) Put(a *Attempt, name Provider, o chat.Options) error {
	p, ok := providerOf(name)
	if !ok {
		return &chat.Error{Status: 500, Type: chat.TypeServer, Message: "the backend's provider is not known"}
	}
	a.call, a.name, a.provider, a.relayed, a.Wire = c, name, p, name == c.client.native, &a.wire
	var err error
	switch {
	case a.relayed:
		err = c.relay(a.Wire, o)
	case c.client.counts:
		err = chat.Unsupported("", "counting tokens is not possible with this provider")
	case c.client.embeds:
		a.Wire, err = c.embed(name, o)
	default:
		err = c.translate(a.Wire, p, o)
	}
	if err != nil {
		return asError(err)
	}
	return nil
}

func (c *Call) translate(w *chat.Wire, p provider, o chat.Options) error {
	if !c.parsed {
		if err := c.client.parse(c.body, &c.chat); err != nil {
			c.chat.Reset()
			return err
		}
		c.parsed = true
	}
	return p.build(w, &c.chat, o)
}

func (c *Call) relay(w *chat.Wire, o chat.Options) error {
	body, err := c.head.Edit(o.Memory, c.body, o.Model, c.client.meter)
	if err != nil {
		return err
	}
	*w = chat.Wire{Path: c.client.path, Header: c.client.header(), Body: body, Model: cmp.Or(o.Model, c.Model)}
	return nil
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

// answers are those that nobody reads. An attempt has none while it waits: it
// would be out of the processor's caches when the answer comes.
var answers = sync.Pool{New: func() any { return new(chat.Response) }}

// Response translates a whole answer with status 2xx; created is in Unix
// seconds. The error is a *chat.Error; it comes with the usage of an answer that
// the provider counts and that is no use to the client.
func (a *Attempt) Response(body []byte, created int64) (Answer, error) {
	if a.relayed {
		return a.relay(body)
	}
	if a.call.client.embeds {
		return a.embedded(body)
	}
	r := answers.Get().(*chat.Response) //nolint:forcetypeassert // the pool holds nothing else.
	defer func() {
		if poison.On {
			poison.Value(r)
			return
		}
		*r = chat.Response{}
		answers.Put(r)
	}()
	err := a.provider.decode(a.Wire, body, r)
	out := Answer{Usage: r.Usage, Counted: r.HasUsage}
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

// relay passes on a whole answer in the client's own protocol. Some servers put
// an error into one with status 200.
func (a *Attempt) relay(body []byte) (Answer, error) {
	u, ok := a.call.client.usage(body)
	if find := a.call.client.failure; !ok && find != nil {
		if e := find(body); e != nil {
			return Answer{}, e
		}
	}
	return Answer{Body: body, Usage: u, Counted: ok}, nil
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

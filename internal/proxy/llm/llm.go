package llm

import (
	"fmt"
	"strings"
	"time"

	"github.com/citoroute/citoroute/internal/ai"
	"github.com/citoroute/citoroute/internal/ai/chat"
	"github.com/citoroute/citoroute/internal/ai/transcript"
	"github.com/citoroute/citoroute/internal/proxy/exchange"
	"github.com/citoroute/citoroute/internal/proxy/upstream"
)

// The largest request body that is read, in bytes, where the rule does not say,
// and at most. Images are part of it.
const (
	defaultMaxBody = 32 << 20
	maxMaxBody     = 256 << 20
)

// Limit is the largest request body for a rule that asks for wanted bytes; 0:
// it does not say.
func Limit(wanted int64) int64 {
	if wanted <= 0 {
		return defaultMaxBody
	}
	return min(wanted, maxMaxBody)
}

// Call is a client's request, read once.
type Call struct {
	ai.Call
	protocol ai.Protocol
	// betas are the features that are no part of Anthropic's API yet and that the
	// client asks for.
	betas  string
	memory *Memory // what it is in
}

// ProtocolOf says which API a request to path speaks; prefix is the part of the
// path that the rule matched. A client may have the rule's path as the whole
// URL or as its base URL. ok is false for an operation that is not offered.
func ProtocolOf(path, prefix string) (p ai.Protocol, ok bool) {
	rest := strings.TrimSuffix(strings.TrimPrefix(path, prefix), "/")
	rest = strings.TrimPrefix(rest, "/v1")
	switch rest {
	case "/chat/completions":
		return ai.Chat, true
	case "/messages":
		return ai.Messages, true
	case "/messages/count_tokens":
		return ai.Tokens, true
	case "/count_tokens":
		return ai.Tokens, strings.HasSuffix(prefix, "/messages")
	case "/responses":
		return ai.Responses, true
	case "/embeddings":
		return ai.Embeddings, true
	case "":
		switch {
		case strings.HasSuffix(prefix, "/messages"):
			return ai.Messages, true
		case strings.HasSuffix(prefix, "/responses"):
			return ai.Responses, true
		case strings.HasSuffix(prefix, "/embeddings"):
			return ai.Embeddings, true
		}
		return ai.Chat, true
	}
	if strings.HasPrefix(rest, "/messages/") { // its clients know no other form of errors
		return ai.Messages, false
	}
	return ai.Chat, false
}

// Check refuses what no body has to be read for; limit is that of the body, in
// bytes. The error is a *chat.Error.
func Check(req *exchange.Request, limit int64) error {
	coding, _ := req.Header.Get("Content-Encoding")
	kind, hasKind := req.Header.Get("Content-Type")
	kind, _, _ = strings.Cut(kind, ";")
	switch {
	case req.Method != "POST":
		return WrongMethod("POST")
	case req.Body == nil:
		return refuse(400, "the request has no body")
	case req.ContentLength > limit:
		return TooLarge(limit)
	case hasKind && !exchange.EqualFold(strings.TrimSpace(kind), "application/json"):
		return refuse(415, "the request body must be application/json")
	case coding != "" && !exchange.EqualFold(coding, "identity"):
		return refuse(415, "an encoded request body is not supported")
	}
	return nil
}

// TooLarge is the error for a body above limit bytes.
func TooLarge(limit int64) error {
	return refuse(413, fmt.Sprintf("the request body is larger than the limit of %d bytes", limit))
}

// WrongMethod is the error for an operation that has one method only.
func WrongMethod(only string) error { return refuse(405, "only "+only+" is allowed here") }

// ErrNoModel is the error for a model that no backend serves.
var ErrNoModel error = &chat.Error{
	Status: 404, Type: chat.TypeInvalidRequest, Code: chat.CodeNoModel,
	Message: "the model is not offered here: GET /v1/models lists those that are",
}

func refuse(status int, message string) error {
	return &chat.Error{Status: status, Type: chat.TypeOf(status), Message: message}
}

// Attempt is a Call put to one provider.
type Attempt struct {
	ai.Attempt
	call    *Call
	memory  *Memory
	backend *upstream.Config
	secrets [2]string  // never repeated to the client; "": none
	signed  time.Time  // by the provider's clock; zero: it wants no signature
	stream  *ai.Stream // nil: the answer is whole
	answer  ai.Answer  // the whole answer
	now     func() time.Time
	pace    Pace               // of a stream
	scribe  *transcript.Scribe // nil: nothing is put down
	said    *transcript.Answer
	whole   bool // the answer came to its end
	// retryAfter is the pause that the provider asked for; 0: none.
	retryAfter time.Duration
	err        error // why the answer failed; nil where it did not
	// request and reply are the bodies that it makes.
	request, reply upstream.Replay
}

// Streams says that the client is answered with a stream.
func (a *Attempt) Streams() bool { return a.stream != nil }

// Err is why the provider's answer was an error or broke off, as far as is
// known by now; nil where it did not. It is a *chat.Error.
func (a *Attempt) Err() error { return a.err }

// RetryAfter is the pause that the provider asked for with an error, held to 1 s
// to 10 min; 0: it did not say.
func (a *Attempt) RetryAfter() time.Duration { return a.retryAfter }

// Whole says that the answer came to its proper end.
func (a *Attempt) Whole() bool { return a.whole }

// Usage is what the provider has said so far of what the answer cost; ok is
// false where it has said nothing.
func (a *Attempt) Usage() (u chat.Usage, ok bool) {
	if a.stream != nil {
		return a.stream.Usage()
	}
	return a.answer.Usage, a.answer.Counted
}

// Outcome is what the provider has said so far of the answer as a whole. Some
// of it may have to be looked for, so ask once, where it is wanted.
func (a *Attempt) Outcome() chat.Outcome {
	switch {
	case a.stream != nil:
		return a.stream.Outcome()
	case !a.whole:
		return chat.Outcome{}
	}
	return a.Attempt.Outcome(a.answer)
}

// PutDown has what is said put down by a scribe. It comes before Answer.
func (a *Attempt) PutDown(by *transcript.Scribe) {
	if a.call.protocol == ai.Embeddings {
		return // its texts are data, and nothing is said in answer
	}
	a.scribe, a.said = by, by.Answer()
}

// Transcript is what PutDown has been asked for, as JSON members each of which
// begins with a comma; nil where it has not.
func (a *Attempt) Transcript() []byte {
	if a.scribe == nil {
		return nil
	}
	return a.said.Append(a.scribe.AppendPrompt(nil, a.call.Body(), a.secrets[:]), a.secrets[:])
}

// Pace is how the pieces of the answer's stream have come so far; it is empty
// for a whole answer.
func (a *Attempt) Pace() Pace { return a.pace }

// bytesPerToken is how much text a token is taken for.
const bytesPerToken = 4

// Assumed is what a stream has used beyond Usage, as far as anyone can tell: for
// one that broke off, was left or came without a count, since a provider counts
// at the end. Its prompt is taken by its size, its answer by what has come.
func (a *Attempt) Assumed() (u chat.Usage) {
	told, ok := a.Usage()
	if a.stream == nil || !a.stream.Started() || ok && a.whole {
		return u
	}
	if !ok {
		u.Prompt = a.call.Size().Input
	}
	u.Completion = max(int64(a.stream.Said()+bytesPerToken-1)/bytesPerToken-told.Completion, 0)
	return u
}

// Prepare makes req what the provider of backend gets when it is asked for
// model ("": as the client says), but for its credential: see Authenticate.
// Nothing of an attempt before is left in req. The error is a *chat.Error.
func (c *Call) Prepare(req *exchange.Request, backend *upstream.Config, model string) (*Attempt, error) {
	p := backend.Backend.LLM
	if p == nil {
		return nil, refuse(500, "the backend is no LLM provider")
	}
	if p.DenyURLs {
		if err := c.RefuseURLs(); err != nil {
			return nil, err
		}
	}
	memory := c.memory.forAttempt()
	a := &memory.attempt
	a.call, a.backend, a.memory = c, backend, memory
	if err := c.Put(&a.Attempt, ai.Provider(p.Provider), chat.Options{Model: model, MaxTokens: p.MaxTokens, Memory: memory.wire}); err != nil {
		return nil, err
	}
	memory.hold(&memory.wire, a.Wire.Body)
	req.Method, req.Authority = "POST", p.Host
	req.Path, req.Query, req.HasQuery = p.BasePath+a.Wire.Path, "", false
	req.Body, req.ContentLength = a.request.Hold(a.Wire.Body), int64(len(a.Wire.Body))
	req.ExpectContinue, req.Upgrade = false, ""
	if c.betas == "" {
		c.betas = betas(&req.Header)
	}
	req.Header.Filter(func(f exchange.Field) bool { return mayPass(f.Name) })
	switch {
	case c.betas == "" || c.protocol != ai.Messages && c.protocol != ai.Tokens:
	case ai.Provider(p.Provider) == ai.Anthropic:
		req.Header.Set("Anthropic-Beta", c.betas)
	default: // at Bedrock, a name that the one model does not know fails the request
		a.Wire.Drop("anthropic-beta")
	}
	req.Header.Set("Accept-Encoding", "identity") // we read the answer
	for _, f := range a.Wire.Header {
		req.Header.Set(f.Name, f.Value)
	}
	return a, nil
}

// Faithful returns an error where something that changes the answer was left out
// or changed for the provider. It is a *chat.Error.
func (a *Attempt) Faithful() error {
	for _, param := range a.Wire.Dropped {
		switch name, _, _ := strings.Cut(param, "."); name {
		case "user", "safety_identifier", "metadata": // who asks, and what for
		case "store", "prompt_cache_key", "prompt_cache_retention", "cache_control": // what is kept of it, and where
		case "anthropic-beta": // clients name what they may use; what they do use is in the body
		default:
			return chat.Unsupported(param, "is not possible, or not so, with this provider")
		}
	}
	return nil
}

// mayPass says that a client's field goes to any provider. Everything else is
// dropped, above all credentials and what chooses an account.
func mayPass(name string) bool {
	for _, ok := range [...]string{"Accept", "User-Agent", "X-Request-Id", "Traceparent", "Tracestate"} {
		if exchange.EqualFold(name, ok) {
			return true
		}
	}
	return false
}

// betas are the names in the fields Anthropic-Beta of a client, without what is
// no name of a feature.
func betas(h *exchange.Header) string {
	var names []string
	for line := range h.Values("Anthropic-Beta") {
		for name := range strings.SplitSeq(line, ",") {
			name = strings.TrimSpace(name)
			if name != "" && len(names) < maxBetas && strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789-._") == "" {
				names = append(names, name)
			}
		}
	}
	return strings.Join(names, ",")
}

// maxBetas is how many features a client may ask for.
const maxBetas = 64

// ErrorBody is err in the shape of a client's protocol.
func ErrorBody(p ai.Protocol, status int, err error, text string) []byte {
	e, ok := err.(*chat.Error) //nolint:errorlint // a wrapped one has no text for clients.
	if !ok {
		e = &chat.Error{Status: status, Type: chat.TypeOf(status), Message: text}
	}
	return ai.EncodeError(p, e)
}

package llm

import (
	"bytes"
	"errors"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/citoroute/citoroute/internal/ai"
	"github.com/citoroute/citoroute/internal/ai/bedrock"
	"github.com/citoroute/citoroute/internal/ai/chat"
	"github.com/citoroute/citoroute/internal/proxy/exchange"
	"github.com/citoroute/citoroute/internal/proxy/upstream"
)

// maxAnswer is the largest whole answer of a provider, maxError the most that
// is read of an error, in bytes.
const (
	maxAnswer = 32 << 20
	maxError  = 64 << 10
)

// Answer turns the provider's response in resp into the client's. For a stream
// it waits for the first content: a failure until then is returned instead of
// being hidden in a stream that began well. The error is a *chat.Error, or an
// *exchange.Failure where the client left. created is when the answer says that it
// was made; now is asked for the time of every piece of a stream, too.
func (a *Attempt) Answer(resp *exchange.Response, created time.Time, now func() time.Time) error {
	kind, _ := resp.Header.Get("Content-Type")
	a.Wire.ResponseID, _ = resp.Header.Get("X-Amzn-Requestid")
	a.Wire.InputTokens = inputTokens(&resp.Header)
	if coded(&resp.Header) {
		drop(resp)
		if resp.Status >= 200 && resp.Status <= 299 {
			return chat.BadUpstream("the provider's answer is compressed, which was not asked for")
		}
	}
	errorType, _ := resp.Header.Get("X-Amzn-Errortype")
	id := requestID(&resp.Header)
	keepFields(&resp.Header)
	if field := idField(a.call.protocol); id != "" && !resp.Header.Has(field) {
		resp.Header.Set(field, id)
	}
	if len(a.Wire.Dropped) > 0 {
		resp.Header.Add("X-Llm-Dropped-Params", droppedParams(a.Wire.Dropped))
	}
	streams := strings.HasPrefix(kind, "text/event-stream") || strings.HasPrefix(kind, "application/vnd.amazon.eventstream")
	switch {
	case resp.Status < 200 || resp.Status > 299 && resp.Status < 400:
		drop(resp) // above all a redirect, which nobody follows
		return chat.BadUpstream("the provider's answer has the status %d", resp.Status)
	case resp.Status > 299:
		return a.failed(resp, errorType, now())
	case streams != a.call.Stream:
		return a.unexpected(resp)
	case streams:
		return a.streamed(resp, now)
	}
	return a.answered(resp, created)
}

// maxDropped is how many dropped parameters are named, maxParam the longest name,
// in bytes.
const (
	maxDropped = 32
	maxParam   = 64
)

// droppedParams names parameters in a header field. Their names are the client's:
// those that are no plain words, or too many, are told as "other".
func droppedParams(names []string) string {
	var out []string
	other := false
	for _, name := range names {
		if len(out) == maxDropped || !isPlain(name) {
			other = true
			continue
		}
		out = append(out, name)
	}
	if other {
		out = append(out, "other")
	}
	return strings.Join(out, ", ")
}

func isPlain(name string) bool {
	return name != "" && len(name) <= maxParam && !strings.ContainsFunc(name, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("_-.", r)
	})
}

// answered answers with the provider's whole answer in the client's protocol.
func (a *Attempt) answered(resp *exchange.Response, created time.Time) error {
	memory := a.memory.forAnswer()
	body, err := readAll(memory.answer, resp, maxAnswer)
	if err != nil {
		return err
	}
	if len(body) > maxAnswer {
		return chat.BadUpstream("the provider's answer is too long")
	}
	if b := bytes.TrimLeft(body, " \t\r\n"); len(b) == 0 || b[0] != '{' {
		return chat.BadUpstream("the provider's answer is not JSON") // also where it would be relayed
	}
	a.memory.hold(&memory.answer, body)
	a.Memory = memory.reply
	out, err := a.Response(body, created.Unix())
	a.memory.hold(&memory.reply, out.Body)
	a.answer = out // also the usage of what is no use to the client
	if e, ok := errors.AsType[*chat.Error](err); ok {
		a.conceal(e) // it may have the provider's words
		return e
	}
	a.whole = true
	a.said.Whole(out.Body)
	a.setBody(resp, out.Body)
	return nil
}

// inputTokens is what Bedrock says in the header that a request cost: for some
// models nothing else tells. 0 where it does not say.
func inputTokens(h *exchange.Header) int64 {
	v, ok := h.Get("X-Amzn-Bedrock-Input-Token-Count")
	if !ok {
		return 0 // and no error is made
	}
	n, err := strconv.ParseInt(v, 10, 64)
	if err != nil {
		return 0
	}
	return chat.Count(n)
}

// requestID is the provider's identifier of the request, by which it can be
// asked about it; "": it said none.
func requestID(h *exchange.Header) string {
	for _, name := range [...]string{"X-Request-Id", "Request-Id", "X-Amzn-Requestid"} {
		if id, ok := h.Get(name); ok {
			return id
		}
	}
	return ""
}

// idField is where the clients of a protocol look for that identifier.
func idField(p ai.Protocol) string {
	if p == ai.Messages || p == ai.Tokens {
		return "Request-Id"
	}
	return "X-Request-Id"
}

// keepFields drops what the provider says of its own account and connection.
func keepFields(h *exchange.Header) {
	h.Filter(func(f exchange.Field) bool {
		for _, ok := range [...]string{"Content-Type", "Date", "Retry-After", "X-Request-Id", "Request-Id", "Cache-Control"} {
			if exchange.EqualFold(f.Name, ok) {
				return true
			}
		}
		return false
	})
}

// failed answers with the provider's error in the client's protocol; errorType
// is how AWS calls it.
func (a *Attempt) failed(resp *exchange.Response, errorType string, now time.Time) error {
	if a.backend.Identity != nil && bedrock.ExpiredCredentials(errorType) {
		a.backend.Identity.Refused()
	}
	after, _ := resp.Header.Get("Retry-After")
	if a.retryAfter = parseRetryAfter(after, now); a.retryAfter == 0 {
		resp.Header.Del("Retry-After")
	} else {
		resp.Header.Set("Retry-After", strconv.Itoa(int((a.retryAfter+time.Second-1)/time.Second)))
	}
	body, err := readAll(nil, resp, maxError)
	if err != nil {
		return err
	}
	e := a.Error(resp.Status, func(name string) string {
		if name == "x-amzn-errortype" {
			return errorType
		}
		v, _ := resp.Header.Get(name)
		return v
	}, a.concealBytes(body[:min(len(body), maxError)])) // before it is shortened, which could cut a secret in two
	e = a.tellable(e)
	a.err = e
	resp.Status = e.Status
	a.setBody(resp, ai.EncodeError(a.call.protocol, e))
	return nil
}

// coded says that an answer is compressed.
func coded(h *exchange.Header) bool {
	coding, _ := h.Get("Content-Encoding")
	return coding != "" && !exchange.EqualFold(coding, "identity")
}

// drop lets go of a response's body unread.
func drop(resp *exchange.Response) {
	if resp.Body != nil {
		_ = resp.Body.Close()
		resp.Body = nil
	}
}

// unexpected refuses a stream where a whole answer was asked for, or the
// reverse: a client of the one could not read the other.
func (a *Attempt) unexpected(resp *exchange.Response) error {
	drop(resp)
	if a.call.Stream {
		return chat.BadUpstream("the provider's answer is not the stream that was asked for")
	}
	return chat.BadUpstream("the provider's answer is a stream, which was not asked for")
}

// tellable is a provider's error as a client may have it. A credential that was
// refused is the gateway's.
func (a *Attempt) tellable(e *chat.Error) *chat.Error {
	if e.Status == 401 {
		return chat.RefusedCredential()
	}
	a.conceal(e)
	return e
}

// Skew is by how much the provider's clock differs from that by which the
// request was signed; ok is false unless resp refuses the request for that.
func (a *Attempt) Skew(resp *exchange.Response) (d time.Duration, ok bool) {
	if a.signed.IsZero() || resp.Status < 400 {
		return 0, false
	}
	errorType, _ := resp.Header.Get("X-Amzn-Errortype")
	date, _ := resp.Header.Get("Date")
	return bedrock.ClockSkew(errorType, date, a.signed)
}

func (a *Attempt) setBody(resp *exchange.Response, b []byte) {
	resp.Header.Set("Content-Type", "application/json")
	resp.Body, resp.ContentLength = a.reply.Hold(b), int64(len(b))
	resp.Trailer.Reset()
}

// readAll reads and closes the body of a response, into mem where that has room.
// More bytes than limit mean that there are more than that.
func readAll(mem []byte, resp *exchange.Response, limit int) ([]byte, error) {
	body, length := resp.Body, resp.ContentLength
	resp.Body, resp.ContentLength = nil, 0
	if body == nil {
		return nil, nil
	}
	var whole upstream.Replay
	err := whole.Fill(mem, body, length, limit)
	if err != nil || !whole.Whole() {
		// A whole body is closed, and may be that of another request by now.
		_ = body.Close()
	}
	switch {
	case errors.Is(err, exchange.ErrClientGone):
		return nil, gone(err)
	case err != nil:
		return nil, brokeOff(err, chat.BadUpstream("the provider's answer broke off"))
	}
	return whole.Bytes(), nil
}

// gone is the failure of an answer that nobody waits for any more.
func gone(err error) error { return &exchange.Failure{Stage: exchange.StageClient, Err: err} }

// brokeOff is the error for an answer that could not be read to its end.
func brokeOff(err error, otherwise *chat.Error) *chat.Error {
	if errors.Is(err, exchange.ErrReadTimeout) {
		return chat.TimedOut()
	}
	return otherwise
}

func (a *Attempt) streamed(resp *exchange.Response, now func() time.Time) error {
	if resp.Body == nil {
		return chat.Truncated()
	}
	a.stream, a.now = a.Stream(now().Unix()), now
	b := &streamBody{src: resp.Body, stream: a.stream, attempt: a}
	err := b.begin()
	if err == nil {
		err = a.err // it came together with the first content: nothing has gone out yet
	}
	if err != nil {
		_ = b.src.Close()
		resp.Body = nil
		return err
	}
	resp.Header.Set("Content-Type", "text/event-stream")
	resp.Header.Set("Cache-Control", "no-cache")
	resp.Body, resp.ContentLength = b, exchange.Unknown
	resp.Trailer.Reset()
	return nil
}

// streamBody is a provider's stream as the client gets it.
type streamBody struct {
	src     exchange.Body
	stream  *ai.Stream
	attempt *Attempt
	out     []byte
	pos     int
	ended   bool
	in      [4 << 10]byte
}

// begin reads until the first content.
func (b *streamBody) begin() error {
	for !b.ended && !b.stream.Started() {
		if err := b.more(); err != nil {
			return err
		}
	}
	return nil
}

// more reads once from the provider. The error is a *chat.Error, and only
// returned where nothing has gone to the client; later ones are events. Where
// the client has left it is an *exchange.Failure.
func (b *streamBody) more() error {
	b.out, b.pos = b.out[:0], 0
	said := b.stream.Said()
	n, readErr := b.src.Read(b.in[:])
	out, err := b.stream.Write(b.out, b.in[:n])
	if b.stream.Said() > said {
		b.attempt.pace.piece(b.attempt.now())
	}
	switch {
	case err != nil || readErr == nil:
	case errors.Is(readErr, io.EOF):
		out, err = b.stream.Close(out)
		b.attempt.whole = err == nil
	case errors.Is(readErr, exchange.ErrClientGone): // nobody to tell
		b.attempt.err, b.ended = gone(readErr), true
		return b.attempt.err
	default:
		err = brokeOff(readErr, chat.Truncated())
	}
	if e, ok := errors.AsType[*chat.Error](err); ok {
		out = b.attempt.concealBytes(b.stream.Abort(out, e))
		b.attempt.err = b.attempt.tellable(e)
	}
	b.attempt.said.Write(out)
	b.out, b.ended = out, err != nil || readErr != nil
	if err == nil || b.stream.Started() {
		return nil
	}
	return b.attempt.err
}

// Read implements io.Reader.
func (b *streamBody) Read(p []byte) (int, error) {
	for b.pos == len(b.out) {
		if b.ended {
			return 0, io.EOF
		}
		if err := b.more(); err != nil {
			return 0, err
		}
	}
	n := copy(p, b.out[b.pos:])
	b.pos += n
	return n, nil
}

// Buffered implements exchange.Body.
func (b *streamBody) Buffered() int { return len(b.out) - b.pos }

// Close implements exchange.Body.
func (b *streamBody) Close() error { return b.src.Close() }

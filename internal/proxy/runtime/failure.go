package runtime

import (
	"errors"
	"strings"

	"github.com/citoroute/citoroute/internal/ai/chat"
	"github.com/citoroute/citoroute/internal/proxy/auth"
	"github.com/citoroute/citoroute/internal/proxy/exchange"
	"github.com/citoroute/citoroute/internal/proxy/upstream"
)

// refusal is the proxy's own decision to answer with a status. The text is
// fixed: nothing of the request is ever repeated.
type refusal struct {
	status int
	text   string
	after  string // seconds until it may be worth another try; "": nobody knows
}

// Error implements error.
func (r *refusal) Error() string { return r.text }

func newRefusal(status int, text string) *refusal { return &refusal{status: status, text: text} }

// refusals are the answers that need no backend.
type refusals struct {
	badPath, noListener, noRoute, noOperation, misdirected *refusal
	noLimits, uncounted                                    *refusal
	noAction, badHost, unauthorized, forbidden, brokenRule *refusal
	moved, full, crowded                                   *refusal
}

func newRefusals() *refusals {
	return &refusals{
		badPath:      newRefusal(400, "the request path is ambiguous"),
		badHost:      newRefusal(400, "the request host is not valid"),
		noListener:   newRefusal(404, "no listener for this host"),
		noRoute:      newRefusal(404, "no route matches"),
		noOperation:  newRefusal(404, "this operation is not offered here"),
		misdirected:  newRefusal(421, "this host is not served on this connection"),
		noLimits:     newRefusal(500, "the limits of this route can not be used as configured"),
		uncounted:    &refusal{status: 503, text: "the limits can not be checked at the moment", after: "1"},
		noAction:     newRefusal(500, "the route has no usable backend"),
		brokenRule:   newRefusal(500, "the route can not be run as configured"),
		full:         &refusal{status: 503, text: "the gateway has as many requests as it has memory for", after: "1"},
		crowded:      &refusal{status: 503, text: "the gateway has as many connections to backends as it may have", after: "1"},
		moved:        newRefusal(503, "the backend has just become another one"),
		forbidden:    newRefusal(403, "the caller may not use this"),
		unauthorized: newRefusal(401, "authentication is required"),
	}
}

// statusOf says what a client gets for err, and the text that goes with it.
func statusOf(err error) (status int, text string) {
	if own, ok := errors.AsType[*refusal](err); ok {
		return own.status, own.text
	}
	if own, ok := errors.AsType[*auth.Refusal](err); ok {
		return 401, own.Error()
	}
	if own, ok := errors.AsType[*chat.Error](err); ok {
		return own.Status, own.Message
	}
	if failed, ok := errors.AsType[*exchange.Failure](err); ok {
		return failed.Status(), failureText(failed.Status())
	}
	switch {
	case errors.Is(err, upstream.ErrUnknown):
		return 500, "the backend is not known"
	case errors.Is(err, upstream.ErrEmpty):
		return 503, "the backend has no ready endpoint"
	}
	return 500, "internal error"
}

func failureText(status int) string {
	switch status {
	case 400:
		return "the request body is not valid"
	case exchange.StatusClientGone:
		return "the client has closed its connection, or its half"
	case 503:
		return "the backend can not be reached"
	case 504:
		return "the backend did not answer in time"
	}
	return "the backend gave no valid answer"
}

// fail makes err the response: the only place where an error becomes one.
func (st *state) fail(ex *exchange.Exchange, err error) {
	st.Err = err
	status, text := statusOf(err)
	resp := &ex.Response
	resp.Header.Reset()
	resp.Trailer.Reset()
	resp.Status, resp.Tunnel = status, nil
	if challenge := challengeOf(status, err); challenge != "" {
		resp.Header.Add("WWW-Authenticate", challenge)
	}
	if own, ok := errors.AsType[*refusal](err); ok && own.after != "" {
		resp.Header.Add("Retry-After", own.after)
	}
	if st.rule != nil && st.rule.isLLM() {
		st.writeLLMError(ex, status, err, text)
		return
	}
	if isGRPC(&ex.Request) {
		st.writeGRPC(ex, status, text)
		return
	}
	resp.Header.Add("Content-Type", "text/plain; charset=utf-8")
	st.write(ex, st.scratch.Join(text, "\n"))
}

// challengeOf is the WWW-Authenticate field of a response, which every 401 must
// have (RFC 9110 section 15.5.2); "" for none.
func challengeOf(status int, err error) string {
	if own, ok := errors.AsType[*auth.Refusal](err); ok {
		return own.Challenge()
	}
	if _, ok := errors.AsType[*refusal](err); !ok {
		return "" // a provider's own
	}
	switch status {
	case 401:
		return auth.Challenge
	case 403:
		return auth.Insufficient
	}
	return ""
}

// write makes text the body of the response.
func (st *state) write(ex *exchange.Exchange, text string) {
	ex.Response.ContentLength = int64(len(text))
	ex.Response.Body = nil
	if ex.Request.Method != "HEAD" && text != "" {
		st.body.reader.Reset(text)
		ex.Response.Body = &st.body
	}
}

// textBody is a response body out of memory.
type textBody struct{ reader strings.Reader }

// Read implements io.Reader.
func (b *textBody) Read(p []byte) (int, error) {
	return b.reader.Read(p)
}

// Buffered implements exchange.Body.
func (b *textBody) Buffered() int { return b.reader.Len() }

// Close implements exchange.Body.
func (b *textBody) Close() error { return nil }

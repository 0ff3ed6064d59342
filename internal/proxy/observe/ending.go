package observe

import (
	"errors"
	"strconv"

	"github.com/citoroute/citoroute/internal/ai/chat"
	"github.com/citoroute/citoroute/internal/proxy/exchange"
	"github.com/citoroute/citoroute/internal/proxy/runtime"
)

// Values of the label outcome.
const (
	outcomeOK        = "ok"
	outcomeError     = "error"
	outcomeCancelled = "cancelled" // the client left before the end
)

// Values of error.type that are no status.
const (
	errorConnection = "connection_error"
	errorTimeout    = "timeout"
	errorCancelled  = "cancelled"
	errorOther      = "_OTHER" // of the semantic conventions
)

// ending is how a request or an attempt ended.
type ending struct {
	// status is 0 where there was none.
	status  int
	outcome string
	// kind is OpenTelemetry's error.type; empty where there was no error.
	kind string
}

// statusLabel is the value of the label status.
func (e ending) statusLabel() string {
	if e.status < 100 || e.status > 599 {
		return "none"
	}
	return strconv.Itoa(e.status)
}

// endingOf judges an attempt. left says that the client went away from the
// answer of this one.
func endingOf(a *runtime.LLMAttempt, left bool) ending {
	e := ending{status: a.Status, outcome: outcomeOK}
	switch {
	case a.Err != nil:
		e.kind = kindOf(a.Err, a.Status)
	case a.Status >= 400:
		e.kind = strconv.Itoa(a.Status)
	case left:
		e.kind = errorCancelled
	}
	return e.settle()
}

// endingOfRequest judges a whole request to an LLM route by what the client got.
func endingOfRequest(rec *runtime.Record) ending {
	e := ending{status: rec.Status, outcome: outcomeOK}
	var last error
	if rec.LLM != nil && len(rec.LLM.Attempts) > 0 {
		last = rec.LLM.Attempts[len(rec.LLM.Attempts)-1].Err
	}
	switch {
	case rec.Err != nil:
		e.kind = kindOf(rec.Err, rec.Status)
	case rec.Status >= 400:
		e.kind = strconv.Itoa(rec.Status)
	case last != nil:
		e.kind = kindOf(last, 0)
	case rec.End.Err != nil:
		e.kind = errorCancelled
	}
	return e.settle()
}

func (e ending) settle() ending {
	switch e.kind {
	case "":
	case errorCancelled:
		e.outcome = outcomeCancelled
	default:
		e.outcome = outcomeError
	}
	return e
}

// kindOf is the error.type of err, one of a small number: a status, one of our
// own codes, or where the connection failed. A provider's own words are not
// among them, and nothing of the error's own memory. status is what came with it;
// below 400 it explains nothing.
func kindOf(err error, status int) string {
	if failed, ok := errors.AsType[*exchange.Failure](err); ok {
		return kindOfFailure(failed)
	}
	e, ok := errors.AsType[*chat.Error](err)
	switch {
	case ok && e.Code == chat.CodeTruncated:
		return chat.CodeTruncated
	case ok && e.Code == chat.CodeUpstream:
		return chat.CodeUpstream
	case status >= 400:
		return strconv.Itoa(status)
	case ok && e.Status >= 400 && e.Status <= 599:
		return strconv.Itoa(e.Status)
	}
	return errorOther
}

func kindOfFailure(f *exchange.Failure) string {
	switch f.Stage {
	case exchange.StageTimeout:
		return errorTimeout
	case exchange.StageClient:
		return errorCancelled
	default:
		return errorConnection
	}
}

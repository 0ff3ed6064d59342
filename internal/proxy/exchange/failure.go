package exchange

import "errors"

// ErrClientGone is why an attempt, or the reading of its response, ended before
// its time: nobody waits for it any more.
var ErrClientGone = errors.New("the client left")

// StatusClientGone is the status of an exchange whose client left before it was
// answered. Nobody gets it but who closed only the half that it sends by; it is
// for logs and metrics. No specification has it: nginx began with it.
const StatusClientGone = 499

// ErrReadTimeout is why the reading of a response ended that did not go on.
var ErrReadTimeout = errors.New("nothing came in time")

// Stage is how far an attempt had come when it failed: it decides status and
// whether the request may be tried again.
type Stage uint8

// Stages of an attempt.
const (
	// StageConnect: no connection; nothing was sent. Safe to try elsewhere.
	StageConnect Stage = iota + 1
	// StageSend: the request may have been sent in part.
	StageSend
	// StageAwait: the request was sent; no byte of the response came.
	StageAwait
	// StageHead: the response is not valid HTTP, or broke off in the head.
	StageHead
	// StageTimeout: Target.Deadline passed.
	StageTimeout
	// StageClient: the client broke off or its body was not valid.
	StageClient
)

// Failure is the error of a Transport.
type Failure struct {
	Stage Stage
	// Reused says that the connection came from the pool: a failure in
	// StageAwait may then only mean that the backend had closed it.
	Reused bool
	Err    error
}

// Error implements error.
func (f *Failure) Error() string {
	return [...]string{"", "connect", "send", "await response", "read response head", "timeout", "client"}[f.Stage] + ": " + f.Err.Error()
}

// Unwrap returns the cause.
func (f *Failure) Unwrap() error { return f.Err }

// Status is the status that a client gets for the failure.
func (f *Failure) Status() int {
	switch f.Stage {
	case StageTimeout:
		return 504
	case StageConnect:
		return 503
	case StageClient:
		if errors.Is(f.Err, ErrClientGone) {
			return StatusClientGone
		}
		return 400
	default:
		return 502
	}
}

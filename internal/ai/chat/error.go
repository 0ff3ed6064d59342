package chat

import (
	"fmt"
	"strings"
)

// Types of errors, by the names of the OpenAI protocol.
const (
	TypeInvalidRequest = "invalid_request_error"
	TypeAuthentication = "authentication_error"
	TypePermission     = "permission_error"
	TypeNotFound       = "not_found_error"
	TypeRateLimit      = "rate_limit_error"
	TypeServer         = "server_error"
)

// Codes of errors that are the gateway's own.
const (
	CodeTruncated    = "stream_truncated" // the provider's stream broke off
	CodeUpstreamAuth = "upstream_auth"    // the provider refused the gateway's credential
	CodeUpstream     = "upstream_invalid" // the provider's answer could not be read
	CodeTimeout      = "upstream_timeout" // the provider was silent for too long
	CodeNoModel      = "model_not_found"  // no backend serves the model
	CodeRateLimit    = "rate_limit_exceeded"
	CodeQuota        = "insufficient_quota" // a budget is used up
	CodeNoPrice      = "model_not_priced"   // a budget can not count the model
	CodeUnsupported  = "unsupported_value"  // the provider has no way to express a parameter
)

// Error is a failure that the client is told of.
type Error struct {
	// Status is the HTTP status, 400 to 599.
	Status int
	// Type is one of the Type constants.
	Type string
	// Code is a short machine-readable reason; it may be empty.
	Code string
	// Message says what is wrong, and with which field.
	Message string
	// Param names the parameter at fault, like "messages[2].content"; it may be
	// empty.
	Param string
}

// Error implements error.
func (e *Error) Error() string { return fmt.Sprintf("%d %s: %s", e.Status, e.Type, e.Message) }

// Invalid returns the error for a request whose parameter param is wrong.
func Invalid(param, format string, args ...any) *Error {
	message := fmt.Sprintf(format, args...)
	if param != "" && !strings.HasPrefix(message, param) {
		message = param + ": " + message
	}
	return &Error{Status: 400, Type: TypeInvalidRequest, Message: message, Param: param}
}

// Unsupported returns the error for a parameter that the provider cannot express.
func Unsupported(param, format string, args ...any) *Error {
	e := Invalid(param, format, args...)
	e.Code = CodeUnsupported
	return e
}

// BadUpstream returns the error for an answer that could not be read.
func BadUpstream(format string, args ...any) *Error {
	return &Error{Status: 502, Type: TypeServer, Code: CodeUpstream, Message: fmt.Sprintf(format, args...)}
}

// Truncated returns the error for a stream that broke off.
func Truncated() *Error {
	return &Error{Status: 502, Type: TypeServer, Code: CodeTruncated, Message: "the provider's stream broke off before its end"}
}

// TimedOut returns the error for a provider that was silent for too long.
func TimedOut() *Error {
	return &Error{Status: 504, Type: TypeServer, Code: CodeTimeout, Message: "the provider did not answer in time"}
}

// RefusedCredential returns the error for a provider that refuses the
// gateway's own credential: nothing that the client could mend.
func RefusedCredential() *Error {
	return &Error{Status: 502, Type: TypeServer, Code: CodeUpstreamAuth, Message: "the provider refused the gateway's credentials"}
}

// TypeOf returns the type that belongs to a status.
func TypeOf(status int) string {
	switch {
	case status == 401:
		return TypeAuthentication
	case status == 403:
		return TypePermission
	case status == 404:
		return TypeNotFound
	case status == 429:
		return TypeRateLimit
	case status == 424, status >= 500:
		return TypeServer
	}
	return TypeInvalidRequest
}

// maxErrorText bounds how much of a provider's own words a client is told, in bytes.
const maxErrorText = 4 << 10

// ProviderError returns the error for a provider's failure: its status is kept
// and its words are passed on, bounded; code is the provider's own type.
func ProviderError(status int, code, message string) *Error {
	if message = strings.TrimSpace(message); message == "" {
		message = fmt.Sprintf("the provider answered %d", status)
	}
	if len(message) > maxErrorText {
		message = strings.ToValidUTF8(message[:maxErrorText], "")
	}
	return &Error{Status: status, Type: TypeOf(status), Code: code, Message: message}
}

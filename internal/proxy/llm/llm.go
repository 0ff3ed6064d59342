// Package llm takes requests in the shape of the OpenAI API to LLM providers.
//
// This package must not import net/http and holds no connection.
package llm

import "encoding/json"

// Error is a request that can not be served; its message is fixed text.
type Error struct {
	Status  int
	Message string
}

// Error implements error.
func (e *Error) Error() string { return e.Message }

// ErrorBody is an error in the shape of the OpenAI API.
func ErrorBody(status int, message string) string {
	body := map[string]any{"error": map[string]any{
		"message": message, "type": errorType(status), "param": nil, "code": nil,
	}}
	out, err := json.Marshal(body)
	if err != nil {
		return ""
	}
	return string(out)
}

func errorType(status int) string {
	switch {
	case status == 401:
		return "authentication_error"
	case status == 403:
		return "permission_error"
	case status == 429:
		return "rate_limit_error"
	case status < 500:
		return "invalid_request_error"
	}
	return "api_error"
}

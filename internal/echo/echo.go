// Package echo is the backend of examples and tests: it answers every request
// with a description of it, so that one sees what a gateway made of it. It is
// built on net/http and must not be imported by the data plane.
package echo

import (
	"encoding/json"
	"io"
	"net/http"
)

// maxBody is how much of a request body is counted, in bytes.
const maxBody = 64 << 20

// Seen is the answer: what arrived.
type Seen struct {
	// Backend is the name of the backend that answers.
	Backend string              `json:"backend"`
	Method  string              `json:"method"`
	Host    string              `json:"host"`
	Path    string              `json:"path"`
	Query   string              `json:"query,omitempty"`
	Proto   string              `json:"proto"`
	Headers map[string][]string `json:"headers"`
	// BodyBytes is the length of the request body.
	BodyBytes int64 `json:"bodyBytes"`
}

// Handler answers for the backend called name.
func Handler(name string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n, err := io.Copy(io.Discard, io.LimitReader(r.Body, maxBody))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		b, err := json.MarshalIndent(Seen{
			Backend: name, Method: r.Method, Host: r.Host, Path: r.URL.EscapedPath(), Query: r.URL.RawQuery,
			Proto: r.Proto, Headers: r.Header, BodyBytes: n,
		}, "", "  ")
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(append(b, '\n')) // a client that left needs no answer
	})
}

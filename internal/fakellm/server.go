package fakellm

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Credentials that the fake accepts, and no others. The AWS pair is the one of
// Amazon's own examples. That of AssumerKeyID may do nothing but assume the role.
const (
	OpenAIKey       = "sk-fake-openai"
	AnthropicKey    = "sk-ant-fake"
	AccessKeyID     = "AKIDEXAMPLE"
	SecretAccessKey = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
	BedrockAPIKey   = "ABSKQmVkcm9ja0FQSUtleS1mYWtlOmZha2U="
	AssumerKeyID    = "AKIDASSUMEROLE"
	AssumerSecret   = "fake-secret-of-one-who-may-assume-the-role"
)

// maxBody is the longest request body that is read, in bytes.
const maxBody = 64 << 20

// Options configure a Server.
type Options struct {
	// Delay is the wait before each event of a stream; an order overrides it.
	Delay time.Duration
	// Now is the time against which signatures are checked; nil: time.Now.
	Now func() time.Time
}

// Server is the three providers. It is an http.Handler and safe for concurrent use.
type Server struct {
	opts   Options
	mux    *http.ServeMux
	ledger ledger
	count  atomic.Int64

	mu sync.Mutex
	// standing are the orders that hold for every request of a provider; "" for all.
	standing map[string]string
}

// New returns a Server.
func New(opts Options) *Server {
	if opts.Now == nil {
		opts.Now = time.Now
	}
	s := &Server{opts: opts, mux: http.NewServeMux(), standing: map[string]string{}}
	s.ledger.reset()
	s.mux.HandleFunc("POST /v1/chat/completions", s.chat(openAI{}))
	s.mux.HandleFunc("POST /v1/responses", s.chat(responses{}))
	s.mux.HandleFunc("POST /v1/messages", s.chat(anthropic{}))
	s.mux.HandleFunc("POST /v1/messages/count_tokens", s.countTokens)
	s.mux.HandleFunc("POST /model/{id}/converse", s.chat(bedrock{now: opts.Now}))
	s.mux.HandleFunc("POST /model/{id}/converse-stream", s.chat(bedrock{now: opts.Now, stream: true}))
	s.mux.HandleFunc("POST /model/{id}/invoke", s.invoke)
	s.mux.HandleFunc("POST /{$}", s.assumeRole)
	s.mux.HandleFunc("POST /v1/embeddings", s.embeddings)
	s.mux.HandleFunc("GET /v1/models", s.models)
	s.mux.HandleFunc("GET /fake/account", s.showAccount)
	s.mux.HandleFunc("DELETE /fake/account", func(http.ResponseWriter, *http.Request) { s.ledger.reset() })
	s.mux.HandleFunc("PUT /fake/orders", s.takeOrders)
	return s
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.mux.ServeHTTP(w, r) }

// Accounts returns what was served so far, by provider: openai, anthropic, bedrock;
// and by sts, AWS's token service.
func (s *Server) Accounts() map[string]Account { return s.ledger.read() }

// provider is one protocol. It knows forms, not behaviour.
type provider interface {
	name() string
	// read takes a request in, as strictly as the provider does.
	read(r *http.Request, body []byte) (prompt, error)
	// fail answers with an error in the provider's form.
	fail(w http.ResponseWriter, f failure)
	// unary returns the body of an answer in one piece.
	unary(p prompt, a answer) any
	// events returns an answer as the events of a stream.
	events(p prompt, a answer) []event
	// errorEvent is the error that breaks a stream off.
	errorEvent() []byte
	// head sets the header fields of a good response.
	head(h http.Header, p prompt, a answer)
}

// event is one event of a stream, as it goes over the wire.
type event struct {
	bytes []byte
	// content says that the event carries a piece of the answer.
	content bool
	// reports is the usage that the event tells; nil: none.
	reports *usage
}

// failure is an answer that is an error.
type failure struct {
	status     int
	message    string
	code       string // OpenAI's code, Amazon's exception
	retryAfter int    // seconds; 0: not said
	plain      bool   // text instead of JSON
}

// Error implements error.
func (f failure) Error() string { return fmt.Sprintf("%d: %s", f.status, f.message) }

// refuse is the failure of a request that has the wrong form.
func refuse(format string, args ...any) error {
	return failure{status: http.StatusBadRequest, message: fmt.Sprintf(format, args...)}
}

func (s *Server) chat(pr provider) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		p, out, reported := s.answer(pr, w, r)
		s.ledger.book(pr.name(), p, out, reported)
	}
}

// answer serves one request and says how it ended.
func (s *Server) answer(pr provider, w http.ResponseWriter, r *http.Request) (prompt, outcome, usage) {
	p, o, err := s.understand(pr, r)
	if err != nil {
		pr.fail(w, asFailure(err))
		return p, outcomeRejected, usage{}
	}
	if !wait(r, o.Wait) {
		return p, outcomeCancelled, usage{}
	}
	if o.Status != 0 {
		pr.fail(w, failure{status: o.Status, message: "ordered by the request", retryAfter: o.RetryAfter, plain: o.Plain})
		return p, outcomeFailed, usage{}
	}
	a, err := respond(p, o, s.count.Add(1))
	if err != nil {
		pr.fail(w, asFailure(refuse("%v", err)))
		return p, outcomeRejected, usage{}
	}
	out, reported := s.send(pr, w, r, play{p, a, o})
	return p, out, reported
}

// understand reads a request and the orders for it.
func (s *Server) understand(pr provider, r *http.Request) (prompt, Orders, error) {
	p, err := s.read(pr, r)
	if err != nil {
		return p, Orders{}, err
	}
	o, err := s.orders(pr, r, &p)
	return p, o, err
}

// send sends an answer, in one piece or as a stream.
func (s *Server) send(pr provider, w http.ResponseWriter, r *http.Request, pl play) (outcome, usage) {
	pr.head(w.Header(), pl.p, pl.a)
	if pl.p.stream {
		return s.stream(pr, w, r, pl)
	}
	if writeJSON(w, http.StatusOK, pr.unary(pl.p, pl.a)) != nil {
		return outcomeCancelled, pl.a.usage
	}
	return outcomeOK, pl.a.usage
}

func (s *Server) read(pr provider, r *http.Request) (prompt, error) {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody))
	if err != nil {
		return prompt{}, refuse("body: %v", err)
	}
	if ct := r.Header.Get("Content-Type"); ct != "application/json" && !strings.HasPrefix(ct, "application/json;") {
		return prompt{}, failure{status: http.StatusUnsupportedMediaType, message: fmt.Sprintf("Content-Type %q is not application/json", ct)}
	}
	return pr.read(r, body)
}

// orders collects the orders for a request, the most special last, and takes
// them out of the prompt.
func (s *Server) orders(pr provider, r *http.Request, p *prompt) (Orders, error) {
	text, inPrompt := cutOrders(p.text)
	p.text = text
	s.mu.Lock()
	all := strings.Join([]string{s.standing[""], s.standing[pr.name()], r.Header.Get("X-Fake"), inPrompt}, " ")
	s.mu.Unlock()
	o, err := ParseOrders(all)
	if err != nil {
		return Orders{}, refuse("%v", err)
	}
	return o, nil
}

func asFailure(err error) failure {
	if f, ok := errors.AsType[failure](err); ok {
		return f
	}
	return failure{status: http.StatusInternalServerError, message: err.Error()}
}

// takeOrders sets the standing orders of ?provider=NAME, or of all.
func (s *Server) takeOrders(w http.ResponseWriter, r *http.Request) {
	b, err := io.ReadAll(io.LimitReader(r.Body, 4096))
	if err == nil {
		_, err = ParseOrders(string(b))
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.standing[r.URL.Query().Get("provider")] = string(b)
}

func (s *Server) showAccount(w http.ResponseWriter, _ *http.Request) {
	_ = writeJSON(w, http.StatusOK, s.ledger.read()) // a client that left needs no answer
}

func writeJSON(w http.ResponseWriter, status int, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(b)))
	w.WriteHeader(status)
	_, err = w.Write(b)
	return err
}

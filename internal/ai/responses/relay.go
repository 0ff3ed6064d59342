package responses

import (
	"encoding/json/jsontext"

	"github.com/citoroute/citoroute/internal/ai/chat"
	"github.com/citoroute/citoroute/internal/ai/sse"
)

// Path is where responses are asked for, below OpenAI's base URL.
const Path = "/responses"

// Relay forwards OpenAI's own stream to a client of the same protocol. The
// data of every event is passed on byte for byte.
type Relay struct {
	sse     sse.Decoder
	usage   chat.Usage
	outcome chat.Outcome
	said    int
	ended   bool
}

// NewRelay returns a Relay.
func NewRelay() *Relay { return &Relay{} }

// event is what must be known of an event that is passed on. An error is
// documented to have its code and message beside its type; OpenAI sends them in
// Error, too.
type event struct {
	Type     string         `json:"type"`
	Message  string         `json:"message"`
	Code     string         `json:"code"`
	Error    *failure       `json:"error"`
	Delta    jsontext.Value `json:"delta"`
	Response *result        `json:"response"`
}

// result is what must be known of an answer that is passed on.
type result struct {
	ID         string      `json:"id"`
	Model      string      `json:"model"`
	Status     string      `json:"status"`
	Incomplete *incomplete `json:"incomplete_details"`
	Usage      *usage      `json:"usage"`
	Error      *failure    `json:"error"`
	Output     []struct {
		Type string `json:"type"`
	} `json:"output"`
}

// outcome is what an answer tells of itself. The protocol has no word for why
// the model stopped; where it wants tools to be called, its output says so.
func (r *result) outcome() chat.Outcome {
	out := chat.Outcome{ID: r.ID, Model: r.Model}
	switch {
	case r.Status == "incomplete" && r.Incomplete != nil && r.Incomplete.Reason == "content_filter":
		out.Finishes = []chat.Finish{chat.FinishFiltered}
	case r.Status == "incomplete":
		out.Finishes = []chat.Finish{chat.FinishLength}
	case r.Status == "completed" && r.callsTool():
		out.Finishes = []chat.Finish{chat.FinishTools}
	case r.Status == "completed":
		out.Finishes = []chat.Finish{chat.FinishStop}
	}
	return out
}

// callsTool says that the client is to call a tool.
func (r *result) callsTool() bool {
	for _, o := range r.Output {
		if o.Type == "function_call" || o.Type == "custom_tool_call" {
			return true
		}
	}
	return false
}

// Write appends to dst what the client is to get for p. content says that some
// of it is of the answer, so that the request can no longer be tried
// elsewhere. The error is a *chat.Error.
func (r *Relay) Write(dst, p []byte) (out []byte, content bool, err error) {
	err = r.sse.Write(p, func(e sse.Event) error {
		if r.ended {
			return nil // some servers say "[DONE]" here
		}
		in, err := readEvent(e.Data)
		if err != nil {
			return err
		}
		if in.Response != nil && in.Response.Usage != nil {
			r.usage = readUsage(in.Response.Usage)
		}
		if in.Response != nil {
			r.outcome = in.Response.outcome()
		}
		switch in.Type {
		case "response.created", "response.in_progress", "response.queued":
		case "error":
			if in.Error == nil {
				in.Error = &failure{in.Code, in.Message}
			}
			return failed(in.Error)
		case "response.failed":
			if in.Response != nil && in.Response.Error != nil {
				return failed(in.Response.Error)
			}
			return chat.BadUpstream("the provider's answer failed")
		case "response.completed", "response.incomplete":
			r.ended, content = true, true
		default:
			content = true
			r.said += max(len(in.Delta)-len(`""`), 0)
		}
		dst = sse.Append(dst, string(e.Name), e.Data)
		return nil
	})
	return dst, content, err
}

// readEvent reads what must be known of an event. One with other types of
// members than we know is the client's to read.
func readEvent(data []byte) (in event, err error) {
	if chat.UnmarshalAnyhow(data, &in) == nil {
		return in, nil
	}
	var rest struct {
		Type string `json:"type"`
	}
	if chat.UnmarshalAnyhow(data, &rest) != nil {
		return in, chat.BadUpstream("an event of the provider's stream is not valid")
	}
	return event{Type: rest.Type}, nil
}

// failed is the error for a failure that came in a stream, whose own status was
// 200.
func failed(f *failure) error {
	status := 502
	switch f.Code {
	case "rate_limit_exceeded", "insufficient_quota":
		status = 429
	case "server_error":
		status = 500
	case "invalid_prompt":
		status = 400
	}
	return chat.ProviderError(status, f.Code, f.Message)
}

// Close is called at the end of the stream; it returns an error for one that
// broke off.
func (r *Relay) Close() error {
	if !r.ended {
		return chat.Truncated()
	}
	return nil
}

// Usage is what the provider has reported so far.
func (r *Relay) Usage() chat.Usage { return r.usage }

// Outcome is what the provider has told of the answer so far.
func (r *Relay) Outcome() chat.Outcome { return r.outcome }

// Said is how much text has been forwarded, in bytes.
func (r *Relay) Said() int { return r.said }

func readUsage(u *usage) chat.Usage {
	out := chat.Usage{Prompt: chat.Count(u.InputTokens), Completion: chat.Count(u.OutputTokens)}
	out.CacheRead = min(chat.Count(u.InputDetails.CachedTokens), out.Prompt)
	out.Reasoning = min(chat.Count(u.OutputDetails.ReasoningTokens), out.Completion)
	return out
}

// ReadUsage reads the usage out of a whole answer, and nothing else of it.
func ReadUsage(body []byte) (chat.Usage, bool) {
	var in struct {
		Usage *usage `json:"usage"`
	}
	if chat.UnmarshalAnyhow(body, &in) != nil || in.Usage == nil {
		return chat.Usage{}, false
	}
	return readUsage(in.Usage), true
}

// ReadOutcome reads what a whole answer tells of itself.
func ReadOutcome(body []byte) chat.Outcome {
	var in result
	if chat.UnmarshalAnyhow(body, &in) != nil {
		return chat.Outcome{}
	}
	return in.outcome()
}

package responses

import (
	"encoding/json/jsontext"
	json "encoding/json/v2"

	"github.com/citoroute/citoroute/internal/ai/chat"
	"github.com/citoroute/citoroute/internal/ai/sse"
)

// Path is where responses are asked for, below OpenAI's base URL.
const Path = "/responses"

// Relay forwards OpenAI's own stream to a client of the same protocol. The
// data of every event is passed on byte for byte.
type Relay struct {
	sse   sse.Decoder
	usage chat.Usage
	said  int
	ended bool
}

// NewRelay returns a Relay.
func NewRelay() *Relay { return &Relay{} }

// event is what must be known of an event that is passed on.
type event struct {
	Type     string         `json:"type"`
	Message  string         `json:"message"`
	Code     string         `json:"code"`
	Delta    jsontext.Value `json:"delta"`
	Response *struct {
		Usage *usage   `json:"usage"`
		Error *failure `json:"error"`
	} `json:"response"`
}

// Write appends to dst what the client is to get for p. content says that some
// of it is of the answer, so that the request can no longer be tried
// elsewhere. The error is a *chat.Error.
func (r *Relay) Write(dst, p []byte) (out []byte, content bool, err error) {
	err = r.sse.Write(p, func(e sse.Event) error {
		var in event
		if err := json.Unmarshal(e.Data, &in); err != nil {
			return chat.BadUpstream("an event of the provider's stream is not valid")
		}
		if in.Response != nil && in.Response.Usage != nil {
			r.usage = readUsage(in.Response.Usage)
		}
		switch in.Type {
		case "response.created", "response.in_progress", "response.queued":
		case "error":
			return chat.ProviderError(502, in.Code, in.Message)
		case "response.failed":
			if in.Response != nil && in.Response.Error != nil {
				return chat.ProviderError(502, in.Response.Error.Code, in.Response.Error.Message)
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
	if json.Unmarshal(body, &in) != nil || in.Usage == nil {
		return chat.Usage{}, false
	}
	return readUsage(in.Usage), true
}

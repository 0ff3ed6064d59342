package chat

import "encoding/json/jsontext"

// Finish is why the model stopped.
type Finish uint8

// Reasons to stop.
const (
	FinishStop     Finish = iota + 1 // it had nothing more to say
	FinishLength                     // a token limit was reached
	FinishTools                      // it wants tools to be called
	FinishFiltered                   // content was refused or filtered
	FinishSequence                   // it met a stop sequence, and the provider tells that apart
)

// String is the word that OpenAI and the semantic conventions have for f; "" for
// none.
func (f Finish) String() string {
	switch f {
	case FinishStop, FinishSequence:
		return "stop"
	case FinishLength:
		return "length"
	case FinishTools:
		return "tool_calls"
	case FinishFiltered:
		return "content_filter"
	}
	return ""
}

// Outcome is what a provider tells of an answer as a whole, besides its usage.
type Outcome struct {
	// ID and Model are the provider's; empty where it has not told.
	ID, Model string
	// Finishes are why the model stopped, one for each of several answers; empty
	// where it has not stopped.
	Finishes []Finish
}

// Usage counts tokens as the OpenAI protocol does: Prompt includes CacheRead
// and CacheWrite, Completion includes Reasoning.
type Usage struct {
	Prompt, Completion    int64
	CacheRead, CacheWrite int64
	Reasoning             int64
}

// maxCount is the greatest number of tokens that is believed.
const maxCount = 1 << 40

// Count is a number of tokens as a provider tells it, made sensible: neither
// negative nor so great that sums overflow.
func Count(n int64) int64 { return min(max(n, 0), maxCount) }

// Total is Prompt + Completion.
func (u Usage) Total() int64 { return u.Prompt + u.Completion }

// Response is a whole answer.
type Response struct {
	ID, Model string
	// Blocks are of the kinds Text, Thinking, RedactedThinking and ToolUse.
	Blocks []Block
	Finish Finish
	// Refusal is the provider's explanation of a refusal, where it gave one.
	Refusal string
	Usage   Usage
	// Functions says that the client knows tool calls by their older name.
	Functions bool
	// HasUsage says that the provider sent the usage.
	HasUsage bool

	// Source is the JSON that texts and raw members may share memory with.
	Source []byte

	one [1]Block // what Blocks begins in: most answers have one
}

// Add appends a block.
func (r *Response) Add(b Block) {
	if r.Blocks == nil {
		r.Blocks = r.one[:0]
	}
	r.Blocks = append(r.Blocks, b)
}

// EventKind is the kind of an Event.
type EventKind uint8

// Kinds of events, in the order in which a well-formed stream has them: Start;
// any number of texts, thoughts and tool calls; Stop; UsageEvent; End. Ping may
// come anywhere.
const (
	Start        EventKind = iota + 1 // ID, Model
	TextDelta                         // Text
	ThinkDelta                        // Text
	ThinkSign                         // Text is the signature of the thoughts so far
	ThinkHidden                       // Text is a redacted thought
	ToolStart                         // Tool, ID, Name
	ToolDelta                         // Tool, Text is a fragment of the arguments
	ToolEnd                           // Tool
	RefusalDelta                      // Text
	Stop                              // Finish
	UsageEvent                        // Usage: the totals of the stream so far
	End                               // the provider has properly ended the stream
	Ping
)

// Event is one step of a streamed answer.
type Event struct {
	Kind      EventKind
	ID, Model string
	// Text's meaning depends on Kind.
	Text string
	// Tool numbers the tool calls of an answer from 0; Name is the tool's.
	Tool   int
	Name   string
	Finish Finish
	Usage  Usage
}

// Content says whether the event is, or announces, something that the client
// will see: after such an event a failed stream can no longer be tried again
// elsewhere.
func (e Event) Content() bool {
	switch e.Kind {
	case TextDelta, ThinkDelta, ThinkSign, ThinkHidden, ToolStart, ToolDelta, RefusalDelta, Stop:
		return true
	default:
		return false
	}
}

// EmptyObject is the JSON value {}.
func EmptyObject() jsontext.Value { return jsontext.Value("{}") }

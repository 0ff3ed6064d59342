package responses

import (
	"strconv"

	"github.com/citoroute/citoroute/internal/ai/chat"
)

// response is a whole answer, and the response of a stream's first and last
// events. Members that repeat the request are null: nothing is stored.
type response struct {
	ID                string      `json:"id"`
	Object            string      `json:"object"`
	CreatedAt         int64       `json:"created_at"`
	Status            string      `json:"status"`
	Error             *failure    `json:"error"`
	IncompleteDetails *incomplete `json:"incomplete_details"`
	Instructions      *string     `json:"instructions"`
	MaxOutputTokens   *int64      `json:"max_output_tokens"`
	Model             string      `json:"model"`
	Output            []output    `json:"output"`
	ParallelToolCalls bool        `json:"parallel_tool_calls"`
	PreviousID        *string     `json:"previous_response_id"`
	Temperature       *float64    `json:"temperature"`
	ToolChoice        string      `json:"tool_choice"`
	Tools             []struct{}  `json:"tools"`
	TopP              *float64    `json:"top_p"`
	Metadata          struct{}    `json:"metadata"`
	Usage             *usage      `json:"usage"`
	AccessPrograms    *struct{}   `json:"access_programs"`
}

type failure struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

type incomplete struct {
	Reason string `json:"reason"`
}

// output is an item of the answer, of any type.
type output struct {
	Type             string        `json:"type"`
	ID               string        `json:"id"`
	Status           string        `json:"status,omitempty"`
	Role             string        `json:"role,omitempty"`
	Content          []messagePart `json:"content,omitzero"`
	Summary          []summary     `json:"summary,omitzero"`
	EncryptedContent string        `json:"encrypted_content,omitempty"`
	CallID           string        `json:"call_id,omitempty"`
	Name             string        `json:"name,omitempty"`
	Arguments        *string       `json:"arguments,omitzero"`
}

// messagePart is a part of a message: its text or a refusal.
type messagePart struct {
	Type        string      `json:"type"`
	Text        *string     `json:"text,omitzero"`
	Refusal     *string     `json:"refusal,omitzero"`
	Annotations *[]struct{} `json:"annotations,omitzero"`
}

type summary struct {
	Type string `json:"type"`
	Text string `json:"text"`
}

type usage struct {
	InputTokens   int64         `json:"input_tokens"`
	InputDetails  inputDetails  `json:"input_tokens_details"`
	OutputTokens  int64         `json:"output_tokens"`
	OutputDetails outputDetails `json:"output_tokens_details"`
	TotalTokens   int64         `json:"total_tokens"`
}

type inputDetails struct {
	CachedTokens int64 `json:"cached_tokens"`
}

type outputDetails struct {
	ReasoningTokens int64 `json:"reasoning_tokens"`
}

func writeUsage(u chat.Usage) *usage {
	return &usage{
		InputTokens: u.Prompt, InputDetails: inputDetails{u.CacheRead},
		OutputTokens: u.Completion, OutputDetails: outputDetails{u.Reasoning}, TotalTokens: u.Total(),
	}
}

func textPart(s string) messagePart {
	return messagePart{Type: "output_text", Text: &s, Annotations: &[]struct{}{}}
}

func refusalPart(s string) messagePart { return messagePart{Type: "refusal", Refusal: &s} }

// newResponse returns an answer without output.
func newResponse(id, model, status string, created int64) *response {
	return &response{
		ID: "resp_" + id, Object: "response", CreatedAt: created, Status: status, Model: model,
		Output: []output{}, ParallelToolCalls: true, ToolChoice: "auto", Tools: []struct{}{},
	}
}

const (
	completed = "completed"
	cutOff    = "incomplete"
)

// status is that of an answer with this finish, and of the item at its end.
func status(f chat.Finish) string {
	if f == chat.FinishLength || f == chat.FinishFiltered {
		return cutOff
	}
	return completed
}

// settle sets the status that belongs to a finish.
func (r *response) settle(f chat.Finish) {
	r.Status = status(f)
	switch f {
	case chat.FinishLength:
		r.IncompleteDetails = &incomplete{"max_output_tokens"}
	case chat.FinishFiltered:
		r.IncompleteDetails = &incomplete{"content_filter"}
	default:
	}
}

// Encode writes a whole answer for a client; created is in Unix seconds.
func Encode(in *chat.Response, created int64) ([]byte, error) {
	out := newResponse(in.ID, in.Model, completed, created)
	out.settle(in.Finish)
	var message *output
	add := func(o output) *output {
		o.ID += strconv.Itoa(len(out.Output))
		out.Output = append(out.Output, o)
		message = nil
		return &out.Output[len(out.Output)-1]
	}
	say := func(p messagePart) {
		if message == nil {
			message = add(output{Type: "message", ID: "msg_" + in.ID + "_", Status: completed, Role: "assistant"})
		}
		message.Content = append(message.Content, p)
	}
	for _, b := range in.Blocks {
		switch b.Kind {
		case chat.Text:
			say(textPart(b.Text))
		case chat.Thinking:
			o := output{Type: "reasoning", ID: "rs_" + in.ID + "_", Summary: []summary{}}
			if b.Text != "" {
				o.Summary = append(o.Summary, summary{"summary_text", b.Text})
			}
			if b.Signature != "" {
				o.EncryptedContent = markSignature + b.Signature
			}
			add(o)
		case chat.RedactedThinking:
			add(output{Type: "reasoning", ID: "rs_" + in.ID + "_", Summary: []summary{}, EncryptedContent: markRedacted + b.Text})
		case chat.ToolUse:
			arguments := string(b.Input)
			add(output{Type: "function_call", ID: "fc_" + in.ID + "_", Status: completed, CallID: b.ID, Name: b.Name, Arguments: &arguments})
		default: // an answer has no others
		}
	}
	if in.Refusal != "" {
		say(refusalPart(in.Refusal))
	}
	if n := len(out.Output); n > 0 && out.Output[n-1].Status != "" {
		out.Output[n-1].Status = out.Status
	}
	if in.HasUsage {
		out.Usage = writeUsage(in.Usage)
	}
	return chat.Marshal(out)
}

package bedrock

import (
	"cmp"
	json "encoding/json/v2"
	"regexp"
	"strings"

	"github.com/citoroute/citoroute/internal/ai/chat"
	"github.com/citoroute/citoroute/internal/ai/eventstream"
)

// Decode reads a whole answer into out, which is empty and whose text shares
// memory with body. w is the request that it answers. An answer that the model
// spoilt is an error, and out tells what it cost.
func Decode(w *chat.Wire, body []byte, out *chat.Response) error {
	loan, err := responseJSON.Borrow(body)
	if err != nil {
		return chat.BadUpstream("the provider's answer is not a Converse answer")
	}
	defer loan.Return()
	in := &loan.Value
	if in.Output.Message == nil {
		return chat.BadUpstream("the provider's answer is not a Converse answer")
	}
	out.Source = body
	content := in.Output.Message.Content
	out.ID, out.Model = answerID(w), shownModel(w.Model)
	if in.Usage != nil {
		out.Usage, out.HasUsage = readUsage(in.Usage), true
	}
	if err := malformed(in.StopReason); err != nil {
		return err
	}
	tools := false
	for i := range content {
		block, ok := readBlock(w, &content[i])
		if ok {
			out.Add(block)
			tools = tools || block.Kind == chat.ToolUse
		}
	}
	out.Finish = finish(in.StopReason, tools)
	return nil
}

func answerID(w *chat.Wire) string { return "chatcmpl-" + w.ResponseID }

// shownModel is how a client is told of a model: of an ARN the last part, since
// the account in it is the gateway's.
func shownModel(model string) string {
	if strings.HasPrefix(model, "arn:") {
		return model[strings.LastIndexByte(model, '/')+1:]
	}
	return model
}

// accountARN is an ARN with an account in it, which AWS names in errors.
var accountARN = regexp.MustCompile(`arn:aws[a-z-]*:[a-z0-9-]*:[a-z0-9-]*:[0-9]{12}:[a-zA-Z0-9_+=,.@:/-]*[a-zA-Z0-9]`)

// providerError is chat.ProviderError without what concerns the gateway's account.
func providerError(status int, code, message string) *chat.Error {
	return chat.ProviderError(status, code, accountARN.ReplaceAllLiteralString(message, "[redacted]"))
}

func readBlock(w *chat.Wire, b *block) (chat.Block, bool) {
	switch {
	case b.Text != nil:
		return chat.Block{Kind: chat.Text, Text: *b.Text}, true
	case b.ToolUse != nil && b.ToolUse.Type == serverTool:
	case b.ToolUse != nil:
		input := b.ToolUse.Input
		if input.Kind() != '{' {
			input = chat.EmptyObject()
		}
		if w.FormatTool != "" && b.ToolUse.Name == w.FormatTool {
			return chat.Block{Kind: chat.Text, Text: string(input)}, true
		}
		return chat.Block{Kind: chat.ToolUse, ID: b.ToolUse.ToolUseID, Name: w.Names.Client(b.ToolUse.Name), Input: chat.Compact(input)}, true
	case b.ReasoningContent != nil && b.ReasoningContent.ReasoningText != nil:
		r := b.ReasoningContent.ReasoningText
		return chat.Block{Kind: chat.Thinking, Text: r.Text, Signature: r.Signature}, true
	case b.ReasoningContent != nil:
		return chat.Block{Kind: chat.RedactedThinking, Text: b.ReasoningContent.RedactedContent}, true
	case b.Citations != nil:
		var text strings.Builder
		for _, c := range b.Citations.Content {
			text.WriteString(c.Text)
		}
		return chat.Block{Kind: chat.Text, Text: text.String()}, true
	}
	return chat.Block{}, false
}

// malformed is the error for an answer that the model itself spoilt.
func malformed(reason string) error {
	if reason == "malformed_model_output" || reason == "malformed_tool_use" {
		return chat.BadUpstream("the model's answer is malformed (%s)", reason)
	}
	return nil
}

// finish trusts what the answer holds more than its stop reason: some models
// call tools and say that they have ended their turn.
func finish(reason string, tools bool) chat.Finish {
	switch reason {
	case "max_tokens", "model_context_window_exceeded":
		return chat.FinishLength
	case "guardrail_intervened", "content_filtered":
		return chat.FinishFiltered
	}
	switch {
	case tools:
		return chat.FinishTools
	case reason == "stop_sequence":
		return chat.FinishSequence
	}
	return chat.FinishStop
}

// readUsage converts to our counting, in which the prompt includes the cache.
func readUsage(u *usage) chat.Usage {
	out := chat.Usage{CacheRead: chat.Count(u.CacheReadInputTokens), CacheWrite: chat.Count(u.CacheWriteInputTokens), Completion: chat.Count(u.OutputTokens)}
	out.Prompt = chat.Count(u.InputTokens) + out.CacheRead + out.CacheWrite
	return out
}

// Error reads an answer whose status is not 2xx; errorType is its
// x-amzn-errortype header field. A refused credential is the gateway's, so the
// client is told of a bad gateway rather than of its own authentication.
func Error(status int, errorType string, body []byte) *chat.Error {
	var in failure
	message := string(body)
	if json.Unmarshal(body, &in) == nil && in.text() != "" {
		message = in.text()
	}
	if status == 403 && refusedAPIKey(message) {
		return chat.RefusedCredential()
	}
	name := errorName(cmp.Or(errorType, in.Type))
	switch name {
	case "ThrottlingException", "ModelNotReadyException":
		return providerError(429, name, message)
	case "ServiceQuotaExceededException":
		return providerError(429, "insufficient_quota", message)
	case "UnrecognizedClientException", "ExpiredTokenException", "InvalidSignatureException", "IncompleteSignatureException", "MissingAuthenticationTokenException",
		"SignatureDoesNotMatch", "RequestTimeTooSkewed", "RequestExpired", "RequestInTheFuture":
		return chat.RefusedCredential()
	case "ModelTimeoutException":
		return providerError(504, name, message)
	case "ModelErrorException":
		return providerError(502, name, message)
	}
	return providerError(status, name, message)
}

// refusedAPIKey tells by AWS's sentence an API key that is wrong or has expired
// from one that lacks a permission: both are an AccessDeniedException.
func refusedAPIKey(message string) bool {
	return strings.Contains(message, "API Key") || strings.Contains(message, "Bearer Token")
}

// errorName takes the name out of prefix#Name:uri.
func errorName(s string) string {
	s, _, _ = strings.Cut(s, ":")
	if i := strings.LastIndexByte(s, '#'); i >= 0 {
		s = s[i+1:]
	}
	return strings.TrimSpace(s)
}

// streamStatus is the status of each exception of a stream.
var streamStatus = map[string]int{
	"internalServerException":     500,
	"modelStreamErrorException":   424,
	"validationException":         400,
	"throttlingException":         429,
	"serviceUnavailableException": 503,
	"modelTimeoutException":       504,
}

func streamError(m eventstream.Message) *chat.Error {
	if m.Headers[":message-type"] == "error" {
		return providerError(502, m.Headers[":error-code"], m.Headers[":error-message"])
	}
	name := m.Headers[":exception-type"]
	var in failure
	_ = json.Unmarshal(m.Payload, &in) // without a message the name must do
	status, ok := streamStatus[name]
	if !ok {
		status = 502
	}
	if name == "modelStreamErrorException" && in.OriginalStatus >= 400 && in.OriginalStatus < 600 {
		status = in.OriginalStatus
	}
	return providerError(status, name, in.text())
}

// Decoder reads a streamed answer.
type Decoder struct {
	wire    *chat.Wire
	frames  eventstream.Decoder
	tools   int
	open    map[int]*opened // content blocks that have begun and not ended, by index
	stopped bool
	spoilt  error // the model's answer is malformed: told when its usage is known
	ended   bool
}

// opened is a tool call in progress.
type opened struct {
	tool     int
	asText   bool // the tool that stands in for a response format
	hasInput bool
}

// NewDecoder returns a Decoder for the answer to w.
func NewDecoder(w *chat.Wire) *Decoder { return &Decoder{wire: w, open: map[int]*opened{}} }

// Write feeds bytes of the stream and calls emit for every event that they
// complete. The error is emit's, or a *chat.Error.
func (d *Decoder) Write(p []byte, emit func(chat.Event) error) error {
	var ours error // emit's, or the provider's: everything else is a broken frame
	err := d.frames.Write(p, func(m eventstream.Message) error {
		ours = d.message(m, emit)
		return ours
	})
	if err != nil && ours == nil {
		return chat.BadUpstream("the provider's stream cannot be read: %v", err)
	}
	return err
}

// Close is called at the end of the stream: only now is it known that no usage
// is to come. It returns an error for a stream that broke off.
func (d *Decoder) Close(emit func(chat.Event) error) error {
	if !d.stopped || d.frames.Pending() {
		return chat.Truncated()
	}
	if d.ended || d.spoilt != nil {
		return d.spoilt
	}
	d.ended = true
	return emit(chat.Event{Kind: chat.End})
}

func (d *Decoder) message(m eventstream.Message, emit func(chat.Event) error) error {
	if kind := m.Headers[":message-type"]; kind == "exception" || kind == "error" {
		return streamError(m)
	}
	switch m.Headers[":event-type"] {
	case "messageStart":
		return emit(chat.Event{Kind: chat.Start, ID: answerID(d.wire), Model: shownModel(d.wire.Model)})
	case "contentBlockStart", "contentBlockDelta", "contentBlockStop", "messageStop", "metadata":
	default:
		return nil // there may be new ones, of any form
	}
	var in event
	if err := eventJSON.Unmarshal(m.Payload, &in); err != nil {
		return chat.BadUpstream("an event of the provider's stream is not valid")
	}
	switch m.Headers[":event-type"] {
	case "contentBlockStart":
		return d.start(&in, emit)
	case "contentBlockDelta":
		return d.delta(&in, emit)
	case "contentBlockStop":
		return d.stop(in.ContentBlockIndex, emit)
	case "messageStop":
		d.stopped, d.spoilt = true, malformed(in.StopReason)
		if d.spoilt == nil {
			return emit(chat.Event{Kind: chat.Stop, Finish: finish(in.StopReason, d.tools > 0)})
		}
	case "metadata":
		return d.metadata(in.Usage, emit)
	}
	return nil
}

// metadata is the last event of a stream.
func (d *Decoder) metadata(u *usage, emit func(chat.Event) error) error {
	if u != nil {
		if err := emit(chat.Event{Kind: chat.UsageEvent, Usage: readUsage(u)}); err != nil {
			return err
		}
	}
	return d.spoilt
}

func (d *Decoder) start(in *event, emit func(chat.Event) error) error {
	t := in.Start.ToolUse
	if t == nil || t.Type == serverTool {
		return nil
	}
	if d.wire.FormatTool != "" && t.Name == d.wire.FormatTool {
		d.open[in.ContentBlockIndex] = &opened{asText: true}
		return nil
	}
	o := &opened{tool: d.tools}
	d.open[in.ContentBlockIndex] = o
	d.tools++
	return emit(chat.Event{Kind: chat.ToolStart, Tool: o.tool, ID: t.ToolUseID, Name: d.wire.Names.Client(t.Name)})
}

func (d *Decoder) delta(in *event, emit func(chat.Event) error) error {
	say := func(kind chat.EventKind, s string) error {
		if s == "" {
			return nil
		}
		return emit(chat.Event{Kind: kind, Text: s})
	}
	r := in.Delta.ReasoningContent
	for _, s := range []struct {
		kind chat.EventKind
		text string
	}{{chat.ThinkDelta, r.Text}, {chat.ThinkSign, r.Signature}, {chat.ThinkHidden, r.RedactedContent}, {chat.TextDelta, in.Delta.Text}} {
		if err := say(s.kind, s.text); err != nil {
			return err
		}
	}
	o, input := d.open[in.ContentBlockIndex], in.Delta.ToolUse.Input
	switch {
	case o == nil || input == "":
		return nil
	case o.asText:
		return say(chat.TextDelta, input)
	}
	o.hasInput = true
	return emit(chat.Event{Kind: chat.ToolDelta, Tool: o.tool, Text: input})
}

func (d *Decoder) stop(index int, emit func(chat.Event) error) error {
	o := d.open[index]
	delete(d.open, index)
	if o == nil || o.asText {
		return nil
	}
	if !o.hasInput {
		if err := emit(chat.Event{Kind: chat.ToolDelta, Tool: o.tool, Text: "{}"}); err != nil {
			return err
		}
	}
	return emit(chat.Event{Kind: chat.ToolEnd, Tool: o.tool})
}

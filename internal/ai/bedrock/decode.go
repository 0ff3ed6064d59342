package bedrock

import (
	"cmp"
	json "encoding/json/v2"
	"regexp"
	"strings"

	"github.com/citoroute/citoroute/internal/ai/chat"
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
	return strings.TrimSpace(s[strings.LastIndexByte(s, '#')+1:])
}

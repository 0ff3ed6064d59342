package translate

import (
	"github.com/citoroute/citoroute/api/v1alpha1"
	"github.com/citoroute/citoroute/internal/ai/transcript"
	"github.com/citoroute/citoroute/internal/ir"
)

// The range of LLMRoute spec.contentLog.maxTextSize, in bytes.
const (
	minLogText = 64
	maxLogText = 64 << 10
)

// llmContent translates what is logged of conversations. A rule whose redactions
// are wrong serves nothing: without them it would log what must not be logged.
func (b *ruleBuilder) llmContent(in *v1alpha1.LLMContentLog) {
	if in == nil {
		return
	}
	out := &ir.LLMContent{Prompts: len(in.Include) == 0, Answers: len(in.Include) == 0}
	for i, side := range in.Include {
		switch side {
		case v1alpha1.LLMContentPrompts:
			out.Prompts = true
		case v1alpha1.LLMContentAnswers:
			out.Answers = true
		default:
			b.unsupported(".contentLog.include[%d]: %q is neither Prompts nor Answers", i, short(string(side)))
		}
	}
	if size := in.MaxTextSize; size != nil {
		n := size.Value()
		if n < minLogText || n > maxLogText {
			b.unsupported(".contentLog.maxTextSize: %s is not in the range 64 to 64Ki", short(size.String()))
		}
		out.MaxText = int(n)
	}
	if n := len(in.Redact); n > transcript.MaxPatterns {
		b.unsupported(".contentLog.redact: %d patterns are more than %d", n, transcript.MaxPatterns)
		return
	}
	program := 0
	for i, r := range in.Redact {
		size, wrong := checkRegex(r.Pattern)
		program += size
		switch err := transcript.CheckPattern(r.Pattern); {
		case err != nil:
			b.unsupported(".contentLog.redact[%d].pattern: %q %v", i, short(r.Pattern), err)
		case wrong != "":
			b.unsupported(".contentLog.redact[%d].pattern: %s", i, wrong)
		case program > maxRedaction:
			b.unsupported(".contentLog.redact[%d].pattern: %q and the patterns before it are too costly together; repeat less in them", i, short(r.Pattern))
		}
		out.Redact = append(out.Redact, ir.Redaction{Name: r.Name, Pattern: r.Pattern})
	}
	b.rule.LLM.Content = out
}

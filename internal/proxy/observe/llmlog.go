package observe

import (
	"strconv"
	"strings"

	"github.com/citoroute/citoroute/internal/ai/chat"
	"github.com/citoroute/citoroute/internal/proxy/runtime"
)

// appendLLM appends what the access log tells of an LLM request: of prompt and
// answer nothing but what the route has asked for. The tokens are those of all attempts.
func appendLLM(b []byte, rec *runtime.Record) []byte {
	llm := rec.LLM
	b = append(b, `{"protocol":"`...)
	b = append(b, llm.Protocol...)
	b = append(b, '"')
	b = appendText(b, "asked", shortName(llm.Asked))
	if llm.Stream {
		b = append(b, `,"stream":true`...)
	}
	var total chat.Usage
	counted, cost := false, int64(0)
	for i := range llm.Attempts {
		a := &llm.Attempts[i]
		counted, cost = counted || a.Counted, cost+a.Cost
		total = sum(total, a.Usage)
	}
	if n := len(llm.Attempts); n > 0 {
		last := &llm.Attempts[n-1]
		b = appendText(b, "provider", last.Provider)
		b = appendText(b, "model", shortName(last.Model))
		if n > 1 {
			b = appendAttempts(appendName(b, "attempts"), rec)
		}
	}
	if first := firstContent(rec); first > 0 {
		b = appendSeconds(b, "firstToken", first)
	}
	if counted {
		b = appendTokens(appendName(b, "tokens"), total)
	}
	if cost > 0 {
		b = strconv.AppendFloat(appendName(b, "costUSD"), float64(cost)/nanosPerDollar, 'f', -1, 64)
	}
	b = appendText(b, "error", endingOfRequest(rec).kind)
	if llm.LimitErr != nil {
		b = appendText(b, "limitError", llm.LimitErr.Error())
	}
	b = append(b, llm.Content...)
	return append(b, '}')
}

func appendAttempts(b []byte, rec *runtime.Record) []byte {
	b = append(b, '[')
	for i := range rec.LLM.Attempts {
		a := &rec.LLM.Attempts[i]
		if i > 0 {
			b = append(b, ',')
		}
		b = appendQuoted(append(b, `{"backend":`...), a.Backend)
		b = appendText(b, "provider", a.Provider)
		b = appendText(b, "model", shortName(a.Model))
		b = appendInt(b, "status", int64(a.Status))
		b = appendSeconds(b, "duration", a.Duration)
		b = appendText(b, "error", endingOf(a, false).kind)
		b = append(b, '}')
	}
	return append(b, ']')
}

// appendTokens appends the numbers of tokens that are not zero; input and
// output always.
func appendTokens(b []byte, u chat.Usage) []byte {
	b = strconv.AppendInt(append(b, `{"input":`...), u.Prompt, 10)
	b = appendInt(b, tokenType(outputTokens), u.Completion)
	for i, n := range tokensOf(u) {
		if i > outputTokens && n > 0 {
			b = appendInt(b, tokenType(i), n)
		}
	}
	return append(b, '}')
}

func sum(a, b chat.Usage) chat.Usage {
	return chat.Usage{
		Prompt: a.Prompt + b.Prompt, Completion: a.Completion + b.Completion,
		CacheRead: a.CacheRead + b.CacheRead, CacheWrite: a.CacheWrite + b.CacheWrite,
		Reasoning: a.Reasoning + b.Reasoning,
	}
}

// shortName cuts a model's name, which a client may choose, to a length that
// any real one has.
func shortName(s string) string {
	if len(s) > maxModelName {
		return strings.ToValidUTF8(s[:maxModelName], "") + "…"
	}
	return s
}

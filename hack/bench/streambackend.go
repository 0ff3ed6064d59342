package main

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/citoroute/citoroute/internal/ai/eventstream"
)

// streamBackend answers with streams whose chunks say when they were sent.
type streamBackend struct {
	epoch    time.Time
	chunks   int // of each stream
	interval time.Duration
}

// ServeHTTP implements http.Handler.
func (b *streamBackend) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		return
	}
	_, _ = io.Copy(io.Discard, r.Body)
	say, kind := sayAnthropic, "text/event-stream"
	switch {
	case strings.HasSuffix(r.URL.Path, "/chat/completions"):
		say = sayOpenAI
	case strings.HasSuffix(r.URL.Path, "/converse-stream"):
		say, kind = sayBedrock, "application/vnd.amazon.eventstream"
	}
	w.Header().Set("Content-Type", kind)
	control := http.NewResponseController(w)
	tick := time.NewTicker(b.interval)
	defer tick.Stop()
	for i := range b.chunks {
		select {
		case <-tick.C:
		case <-r.Context().Done():
			return
		}
		stamp := fmt.Sprintf("sent@%0*d", stampLength, time.Since(b.epoch).Nanoseconds())
		if _, err := w.Write(say(stamp, i == 0, i == b.chunks-1)); err != nil {
			return
		}
		_ = control.Flush()
	}
}

// The functions below write one piece of an answer's text, with what goes before the
// first and behind the last.

func sayOpenAI(text string, _, last bool) []byte {
	b := fmt.Appendf(nil, "data: {\"id\":\"1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"bench\","+
		"\"choices\":[{\"index\":0,\"delta\":{\"content\":%q},\"finish_reason\":null}]}\n\n", text)
	if last {
		b = append(b, "data: {\"id\":\"1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"bench\","+
			"\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n"...)
	}
	return b
}

func sayAnthropic(text string, first, last bool) []byte {
	var b []byte
	event := func(name, data string) {
		b = fmt.Appendf(b, "event: %[1]s\ndata: {\"type\":\"%[1]s\"%[2]s}\n\n", name, data)
	}
	if first {
		event("message_start", `,"message":{"id":"1","type":"message","role":"assistant","model":"bench","content":[],`+
			`"stop_reason":null,"usage":{"input_tokens":1,"output_tokens":1}}`)
		event("content_block_start", `,"index":0,"content_block":{"type":"text","text":""}`)
	}
	event("content_block_delta", fmt.Sprintf(`,"index":0,"delta":{"type":"text_delta","text":%q}`, text))
	if last {
		event("content_block_stop", `,"index":0`)
		event("message_delta", `,"delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":9}`)
		event("message_stop", "")
	}
	return b
}

func sayBedrock(text string, first, last bool) []byte {
	var b []byte
	event := func(name, payload string) {
		b = eventstream.Append(b, []eventstream.Header{
			{Name: ":event-type", Value: name}, {Name: ":content-type", Value: "application/json"}, {Name: ":message-type", Value: "event"},
		}, []byte(payload))
	}
	if first {
		event("messageStart", `{"role":"assistant"}`)
	}
	event("contentBlockDelta", fmt.Sprintf(`{"contentBlockIndex":0,"delta":{"text":%q}}`, text))
	if last {
		event("contentBlockStop", `{"contentBlockIndex":0}`)
		event("messageStop", `{"stopReason":"end_turn"}`)
		event("metadata", `{"usage":{"inputTokens":1,"outputTokens":9,"totalTokens":10},"metrics":{"latencyMs":1}}`)
	}
	return b
}

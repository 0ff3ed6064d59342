package observe

import (
	"bufio"
	"encoding/hex"
	"encoding/json/jsontext"
	"errors"
	"io"
	"net/netip"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/citoroute/citoroute/internal/ai/chat"
	"github.com/citoroute/citoroute/internal/proxy/runtime"
)

// logBacklog is how many lines may wait for a slow log. Beyond it lines are
// dropped and counted: a request never waits.
const logBacklog = 8192

const (
	// maxWaiting is how many bytes of lines may wait: those with prompts and
	// answers in them are long.
	maxWaiting = 64 << 20
	// maxKept is the capacity of the longest line whose memory is used again.
	maxKept = 16 << 10
)

// accessLog writes lines on a goroutine of its own.
type accessLog struct {
	lines   chan *[]byte
	waiting atomic.Int64 // bytes in lines
	pool    sync.Pool
	dropped prometheus.Counter
	done    chan struct{}
}

func newAccessLog(w io.Writer, dropped prometheus.Counter) *accessLog {
	l := &accessLog{lines: make(chan *[]byte, logBacklog), dropped: dropped, done: make(chan struct{})}
	l.pool.New = func() any { return new([]byte) }
	go l.run(bufio.NewWriterSize(w, 64<<10))
	return l
}

// close writes what is waiting and ends the goroutine.
func (l *accessLog) close() {
	close(l.lines)
	<-l.done
}

func (l *accessLog) run(w *bufio.Writer) {
	defer close(l.done)
	for line := range l.lines {
		// A log that cannot be written has no better place to say so than the
		// counter.
		if _, err := w.Write(*line); err != nil {
			l.dropped.Inc()
		}
		l.waiting.Add(-int64(len(*line)))
		l.free(line)
		if len(l.lines) == 0 {
			_ = w.Flush()
		}
	}
	_ = w.Flush()
}

// write queues the line of an exchange.
func (l *accessLog) write(rec *runtime.Record) {
	line, ok := l.pool.Get().(*[]byte)
	if !ok {
		line = new([]byte)
	}
	*line = appendLine((*line)[:0], rec)
	if l.waiting.Add(int64(len(*line))) <= maxWaiting {
		select {
		case l.lines <- line:
			return
		default:
		}
	}
	l.waiting.Add(-int64(len(*line)))
	l.dropped.Inc()
	l.free(line)
}

// free gives the memory of a line back.
func (l *accessLog) free(line *[]byte) {
	if cap(*line) <= maxKept {
		l.pool.Put(line)
	}
}

// appendLine appends rec as one line of JSON. The query is left out: it often
// holds what must not be in a log.
func appendLine(b []byte, rec *runtime.Record) []byte {
	b = append(b, `{"time":"`...)
	b = rec.Start.UTC().AppendFormat(b, "2006-01-02T15:04:05.000000Z07:00")
	b = append(b, '"')
	b = appendText(b, "method", rec.Method)
	b = appendText(b, "scheme", rec.Scheme)
	b = appendText(b, "host", rec.Authority)
	b = appendText(b, "path", rec.Path)
	b = appendText(b, "protocol", rec.Proto.String())
	b = appendInt(b, "status", int64(rec.Status))
	b = appendInt(b, "bytesSent", rec.End.Sent)
	b = appendInt(b, "bytesReceived", rec.End.Received)
	b = appendSeconds(b, "duration", rec.Duration)
	b = appendSeconds(b, "headDuration", rec.Head)
	b = appendAddress(b, "remote", rec.Remote)
	b = appendAddress(b, "peer", rec.Peer)
	if rec.Listener != nil {
		b = appendText(b, "listener", rec.Listener.Name)
	}
	if rec.Route != nil {
		src := rec.Route.Source
		src.Section = ""
		b = appendText(b, "route", src.String())
	}
	if rec.Rule != nil {
		b = appendText(b, "rule", rec.Rule.Name)
	}
	b = appendText(b, "consumer", rec.Consumer)
	b = appendText(b, "backend", rec.Backend)
	b = appendText(b, "endpoint", rec.Endpoint)
	if rec.Attempts > 1 {
		b = appendInt(b, "attempts", int64(rec.Attempts))
	}
	if rec.LLM != nil {
		b = appendLLM(appendName(b, "llm"), rec)
	}
	b = appendText(b, "userAgent", rec.UserAgent)
	b = appendText(b, "requestID", rec.RequestID)
	if rec.Trace.Sampled {
		b = hex.AppendEncode(append(b, `,"traceID":"`...), rec.Trace.ID[:])
		b = append(b, '"')
	}
	if rec.Err != nil {
		b = appendText(b, "error", errorText(rec.Err))
	}
	if rec.End.Err != nil {
		b = appendText(b, "clientError", rec.End.Err.Error())
	}
	return append(b, '}', '\n')
}

// errorText is err as the log tells it. The message of an LLM error is left
// out: it may repeat what was said, in a provider's words or in ours.
func errorText(err error) string {
	e, ok := errors.AsType[*chat.Error](err)
	switch {
	case !ok:
		return err.Error()
	case e.Code != "":
		return e.Type + ": " + e.Code
	}
	return e.Type
}

// appendText appends a member, unless it is empty.
func appendText(b []byte, name, value string) []byte {
	if value == "" {
		return b
	}
	return appendQuoted(appendName(b, name), value)
}

// appendAddress appends an address and its port, where that is known.
func appendAddress(b []byte, name string, a netip.AddrPort) []byte {
	if !a.IsValid() {
		return b
	}
	b = append(appendName(b, name), '"')
	if a.Port() == 0 {
		b = a.Addr().AppendTo(b)
	} else {
		b = a.AppendTo(b)
	}
	return append(b, '"')
}

func appendInt(b []byte, name string, value int64) []byte {
	return strconv.AppendInt(appendName(b, name), value, 10)
}

// appendSeconds appends a duration in seconds, to the microsecond.
func appendSeconds(b []byte, name string, d time.Duration) []byte {
	return strconv.AppendFloat(appendName(b, name), d.Seconds(), 'f', 6, 64)
}

func appendName(b []byte, name string) []byte {
	b = append(b, ',', '"')
	b = append(b, name...)
	return append(b, '"', ':')
}

// appendQuoted appends s as a JSON string. What a client sends can end neither
// the string nor the line.
func appendQuoted(b []byte, s string) []byte {
	b, _ = jsontext.AppendQuote(b, s) // bytes that are no UTF-8 have become U+FFFD
	return b
}

package fakellm

import (
	"cmp"
	"net/http"
	"time"
)

// play is what a stream is made from.
type play struct {
	p prompt
	a answer
	o Orders
}

// stream sends the events one by one, each flushed, and obeys the orders that
// break a stream off.
func (s *Server) stream(pr provider, w http.ResponseWriter, r *http.Request, pl play) (outcome, usage) {
	pace := cmp.Or(max(pl.o.Pace, 0), s.opts.Delay)
	w.WriteHeader(http.StatusOK)
	var reported usage
	sent := 0
	for _, ev := range pr.events(pl.p, pl.a) {
		if ev.content {
			if end := pl.breakOff(sent, pr, w, r); end != outcomeOK {
				return end, reported
			}
			sent++
		}
		if !wait(r, pace) || !send(w, ev) {
			return outcomeCancelled, reported
		}
		if ev.reports != nil {
			reported = *ev.reports
		}
	}
	return outcomeOK, reported
}

// breakOff ends the stream before the piece with a number if that is ordered,
// and says how; outcomeOK: it goes on.
func (pl play) breakOff(piece int, pr provider, w http.ResponseWriter, r *http.Request) outcome {
	switch piece {
	case pl.o.ErrorAfter:
		_, _ = w.Write(pr.errorEvent()) // the stream is over either way
		return outcomeFailed
	case pl.o.CutAfter:
		cut(w)
		return outcomeBroken
	case pl.o.EndAfter:
		return outcomeBroken
	case pl.o.HangAfter:
		<-r.Context().Done()
		return outcomeCancelled
	}
	return outcomeOK
}

// cut closes the connection in the middle of the chunked body.
func cut(w http.ResponseWriter) {
	if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
		_ = conn.Close()
	}
}

// send writes and flushes an event and says whether the client is still there.
func send(w http.ResponseWriter, ev event) bool {
	if _, err := w.Write(ev.bytes); err != nil {
		return false
	}
	return http.NewResponseController(w).Flush() == nil
}

// wait waits for d and says whether the client is still there.
func wait(r *http.Request, d time.Duration) bool {
	if d <= 0 {
		return r.Context().Err() == nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-r.Context().Done():
		return false
	}
}

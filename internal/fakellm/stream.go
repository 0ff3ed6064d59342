package fakellm

import (
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
	pace := s.opts.Delay
	if pl.o.Pace > 0 {
		pace = pl.o.Pace
	}
	flush := http.NewResponseController(w)
	w.WriteHeader(http.StatusOK)
	var reported usage
	sent := 0
	for _, ev := range pr.events(pl.p, pl.a) {
		switch {
		case !ev.content:
		case sent == pl.o.ErrorAfter:
			_, _ = w.Write(pr.errorEvent()) // the stream is over either way
			return outcomeFailed, reported
		case sent == pl.o.CutAfter:
			if conn, _, err := flush.Hijack(); err == nil {
				_ = conn.Close() // in the middle of the chunked body
			}
			return outcomeBroken, reported
		case sent == pl.o.EndAfter:
			return outcomeBroken, reported
		case sent == pl.o.HangAfter:
			<-r.Context().Done()
			return outcomeCancelled, reported
		}
		if !wait(r, pace) {
			return outcomeCancelled, reported
		}
		if _, err := w.Write(ev.bytes); err != nil {
			return outcomeCancelled, reported
		}
		if err := flush.Flush(); err != nil {
			return outcomeCancelled, reported
		}
		if ev.content {
			sent++
		}
		if ev.reports != nil {
			reported = *ev.reports
		}
	}
	return outcomeOK, reported
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

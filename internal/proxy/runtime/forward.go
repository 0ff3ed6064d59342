package runtime

import (
	"errors"
	"fmt"
	"time"

	"github.com/citoroute/citoroute/internal/proxy/balance"
	"github.com/citoroute/citoroute/internal/proxy/exchange"
	"github.com/citoroute/citoroute/internal/proxy/upstream"
)

const (
	// maxReplay is the largest request body that is kept to be sent again.
	maxReplay = 64 << 10
	// connectTries is how many endpoints are tried where no rule says more.
	connectTries = 3
	// firstWait is the wait before a second attempt where no rule says so; the
	// wait doubles up to maxWait times.
	firstWait = 25 * time.Millisecond
	maxWaits  = 16
)

// forward sends a request to one of the backends of its rule.
func (st *state) forward(ex *exchange.Exchange) error {
	t, err := st.choose()
	if err != nil {
		return err
	}
	if answered, err := t.chain.onRequest(st, ex); answered || err != nil {
		return err
	}
	if err := st.keepBody(ex); err != nil {
		return err
	}
	return st.attempts(ex, t.cluster)
}

// choose picks a backend by weight.
func (st *state) choose() (*target, error) {
	i := st.rule.weights.Pick()
	if i < 0 {
		return nil, st.rt.refuse.noAction
	}
	t := &st.rule.targets[i]
	st.Series = t.series
	if t.status != nil {
		return nil, t.status
	}
	st.target, st.Backend = t, t.cluster.Name()
	return t, nil
}

// attempts tries until a backend answers or trying again is no use.
func (st *state) attempts(ex *exchange.Exchange, c *upstream.Cluster) error {
	if d := st.rule.ir.Timeouts.Request; d > 0 {
		st.deadline = st.Start.Add(d)
	}
	if st.rule.retry != nil {
		st.rule.retry.budget.Earn()
	}
	for {
		err := st.attempt(ex, c)
		wait, again := st.again(ex, c, err)
		if !again {
			st.limitBody(ex)
			return err
		}
		st.lease.Done()
		discard(&ex.Response)
		if failed := st.wait(ex, wait); failed != nil {
			return failed
		}
		if st.replay != nil {
			st.replay.Rewind()
		}
	}
}

var errWait = errors.New("no time was left for another attempt")

// keepBody reads the body of a request that may be sent again, if it is short.
func (st *state) keepBody(ex *exchange.Exchange) error {
	req := &ex.Request
	r := st.rule.retry
	if r == nil || r.Attempts == 0 || req.Body == nil || req.Upgrade != "" || req.ContentLength > maxReplay || st.replay != nil {
		return nil
	}
	return st.buffer(ex, maxReplay)
}

// buffer puts the body of a request into memory, up to limit bytes, as long as there
// is time for the request.
func (st *state) buffer(ex *exchange.Exchange, limit int) error {
	req, end := &ex.Request, st.limitUpload(ex.Client)
	replay, err := upstream.NewReplay(req.Body, req.ContentLength, limit)
	if end() {
		return &exchange.Failure{Stage: exchange.StageTimeout, Err: errDeadline}
	}
	if err != nil {
		return err
	}
	req.Body = replay
	if replay.Whole() {
		st.replay = replay
	}
	return nil
}

// limitUpload has the body of a request end at the deadline of the request. end must
// be called when it was read, and says whether that came too late.
func (st *state) limitUpload(client exchange.Client) (end func() (late bool)) {
	d := st.rule.ir.Timeouts.Request
	stopper, ok := client.(exchange.BodyStopper)
	if d <= 0 || !ok {
		return func() bool { return false }
	}
	stopped := make(chan struct{})
	timer := time.AfterFunc(d-st.rt.since(st.Start), func() {
		defer close(stopped)
		stopper.StopBody()
	})
	return func() bool {
		if timer.Stop() {
			return false
		}
		<-stopped // or it would stop the body of the next request
		return true
	}
}

// attempt sends the request to one endpoint.
func (st *state) attempt(ex *exchange.Exchange, c *upstream.Cluster) error {
	now := st.Start
	if st.Attempts > 0 {
		now = st.rt.opts.Now()
	}
	var err error
	if st.lease, err = c.Pick(st.rt.opts.Rand(), now, st.tried[:st.triedTo]); err != nil {
		return err
	}
	if err := st.authenticate(ex, c); err != nil {
		return err
	}
	st.Attempts++
	config, e := st.lease.Config, st.lease.Endpoint
	st.Endpoint = e.Addr
	st.to = exchange.Target{Addr: e.Addr, TLS: config.TLS, ConnectTimeout: config.ConnectTimeout, Deadline: st.deadline}
	if !st.deadline.IsZero() {
		st.to.IdleTimeout = st.deadline.Sub(now) // a stalled body ends, too
	}
	if st.attempted != nil {
		st.to.IdleTimeout = st.idle
		st.to.NoInterims = true // they have the provider's fields, and another one may be asked yet
	}
	if d := st.rule.ir.Timeouts.Backend; d > 0 {
		if limit := now.Add(d); st.deadline.IsZero() || limit.Before(st.deadline) {
			st.to.Deadline = limit
		}
	}
	transport := st.rt.opts.HTTP1
	if config.HTTP2 && ex.Request.Upgrade == "" {
		transport = st.rt.opts.HTTP2
	}
	err = transport.RoundTrip(ex, &st.to)
	if failed, ok := errors.AsType[*exchange.Failure](err); ok && failed.Stage == exchange.StageConnect {
		if upstream.IsOurs(failed.Err) { // the endpoint is not to blame, and the next one is no better
			return fmt.Errorf("%w: %w", st.rt.refuse.crowded, failed.Err)
		}
		st.lease.Unreachable(st.rt.opts.Now())
		st.try(e)
		return err
	}
	st.lease.Reached()
	return err
}

// again says whether to try once more, and after which wait.
func (st *state) again(ex *exchange.Exchange, c *upstream.Cluster, err error) (wait time.Duration, again bool) {
	failed, ok := errors.AsType[*exchange.Failure](err)
	switch {
	case err != nil && !ok: // no endpoint to try
		return 0, false
	case ok && failed.Stage == exchange.StageConnect:
		return st.elsewhere(c)
	}
	r := st.rule.retry
	if r == nil || st.Attempts > r.Attempts || ex.Request.Body != nil && st.replay == nil {
		return 0, false
	}
	if !r.wants(ex.Response.Status, failed) || !r.budget.Spend() {
		return 0, false
	}
	if e, tried := st.lease.Endpoint, st.tried[:st.triedTo]; c.Endpoints().Others(e, st.rt.opts.Now(), tried) {
		st.try(e) // another one may do better
	}
	return st.backoff(), true
}

// try notes that an endpoint was tried.
func (st *state) try(e *balance.Endpoint) {
	if st.triedTo < len(st.tried) {
		st.tried[st.triedTo] = e
		st.triedTo++
	}
}

// elsewhere is again after a failure to connect: nothing was sent, so any
// request may go to another endpoint, and at once. To the same ones it goes
// only where the rule asks for it.
func (st *state) elsewhere(c *upstream.Cluster) (wait time.Duration, again bool) {
	r := st.rule.retry
	limit := connectTries
	switch {
	case r != nil && r.Attempts == 0:
		return 0, false
	case r != nil:
		limit = max(limit, 1+r.Attempts)
	}
	switch {
	case st.Attempts >= limit:
		return 0, false
	case st.triedTo < c.Endpoints().Len():
		return 0, true
	}
	return st.backoff(), r != nil && r.budget.Spend()
}

// wants says that an attempt that ended so is to be repeated. failed is nil
// where a response came.
func (r *retry) wants(status int, failed *exchange.Failure) bool {
	switch {
	case failed == nil:
		return r.hasCode(status)
	case failed.Stage == exchange.StageClient:
		return false
	}
	return failed.Stage == exchange.StageTimeout || r.hasCode(failed.Status())
}

func (r *retry) hasCode(status int) bool {
	return status >= 0 && status < len(r.codes) && r.codes[status]
}

// backoff is the wait before the next attempt: it doubles, and is up to a half
// longer by chance, so that clients do not come in step.
func (st *state) backoff() time.Duration {
	base := firstWait
	if st.rule.retry != nil && st.rule.retry.Backoff > 0 {
		base = st.rule.retry.Backoff
	}
	d := base * time.Duration(min(1<<min(st.Attempts-1, 10), maxWaits))
	return d + time.Duration(st.rt.opts.Rand()%uint64(d/2+1))
}

// wait lets time pass before the next attempt; nil: there may be one. Otherwise
// the client has left, or the deadline comes first.
func (st *state) wait(ex *exchange.Exchange, d time.Duration) *exchange.Failure {
	late := false
	if !st.deadline.IsZero() && d > 0 {
		left := st.deadline.Sub(st.rt.opts.Now())
		late, d = d >= left, min(d, left)
	}
	switch {
	case !st.pause(ex, d):
		return &exchange.Failure{Stage: exchange.StageClient, Err: exchange.ErrClientGone}
	case late:
		return &exchange.Failure{Stage: exchange.StageTimeout, Err: errWait}
	}
	return nil
}

// pause lets time pass, and says false where the client left.
func (st *state) pause(ex *exchange.Exchange, d time.Duration) bool {
	if d <= 0 {
		return true
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	gone := make(chan struct{})
	if ex.Client != nil {
		stop := ex.Client.OnCancel(func() { close(gone) })
		defer stop()
	}
	select {
	case <-timer.C:
		return true
	case <-gone:
		return false
	}
}

// discard gives up a response that will not be used.
func discard(resp *exchange.Response) {
	if resp.Body != nil {
		_ = resp.Body.Close()
	}
	if resp.Tunnel != nil {
		_ = resp.Tunnel.Close()
	}
	resp.Status, resp.Body, resp.ContentLength, resp.Tunnel, resp.Close = 0, nil, 0, nil, false
	resp.Header.Reset()
	resp.Trailer.Reset()
}

// limitBody ends a response that is still arriving at the deadline of the
// request.
func (st *state) limitBody(ex *exchange.Exchange) {
	if st.deadline.IsZero() || ex.Response.Body == nil {
		return
	}
	st.limited = limitedBody{Body: ex.Response.Body, st: st}
	ex.Response.Body = &st.limited
}

// limitedBody breaks off at the deadline.
type limitedBody struct {
	exchange.Body
	st *state
}

// Read implements io.Reader.
func (b *limitedBody) Read(p []byte) (int, error) {
	n, err := b.Body.Read(p)
	if err == nil && b.st.rt.opts.Now().After(b.st.deadline) {
		return n, errDeadline
	}
	return n, err
}

var errDeadline = errors.New("the time for the request has passed")

package runtime

import (
	"strings"
	"time"

	"github.com/citoroute/citoroute/internal/proxy/exchange"
	"github.com/citoroute/citoroute/internal/proxy/upstream"
)

const (
	// maxCopies is how many mirrored requests may be in flight; more are left out.
	maxCopies = 512
	// copyTimeout is how long one may take.
	copyTimeout = 10 * time.Second
)

// mirror sends a copy of the request to another backend, on a goroutine of its
// own. Requests with bodies longer than maxReplay, upgrades, and requests
// beyond maxCopies are not mirrored; the client never waits for the other
// backend.
func (st *state) mirror(ex *exchange.Exchange, c *upstream.Cluster) error {
	req := &ex.Request
	if req.Upgrade != "" || req.ContentLength > maxReplay {
		return nil
	}
	if req.Body != nil && st.replay == nil {
		if err := st.buffer(ex, maxReplay); err != nil {
			return err
		}
		if st.replay == nil { // it is longer than its limit
			return nil
		}
	}
	select {
	case st.rt.copies <- struct{}{}:
	default:
		return nil
	}
	dup := clone(req)
	if st.guarded() { // the credential has been checked, and is not for others
		dup.Request.Header.Del("Authorization")
	}
	if st.replay != nil {
		body := st.replay.Copy()
		dup.Request.Body, dup.Request.ContentLength = body, int64(len(body.Bytes()))
	}
	rt := st.rt
	go func() {
		defer func() { <-rt.copies }()
		defer func() {
			if v := recover(); v != nil {
				rt.opts.Panicked(v)
			}
		}()
		rt.send(dup, c)
	}()
	return nil
}

// send sends a mirrored request and ignores what comes of it.
func (rt *Runtime) send(ex *exchange.Exchange, c *upstream.Cluster) {
	now := rt.opts.Now()
	lease, err := c.Pick(rt.opts.Rand(), now, nil)
	if err != nil {
		return
	}
	defer lease.Done()
	transport := rt.opts.HTTP1
	if lease.Config.HTTP2 {
		transport = rt.opts.HTTP2
	}
	to := &exchange.Target{
		Addr: lease.Endpoint.Addr, TLS: lease.Config.TLS, ConnectTimeout: lease.Config.ConnectTimeout,
		Deadline: now.Add(copyTimeout), IdleTimeout: copyTimeout,
	}
	if transport.RoundTrip(ex, to) != nil {
		return
	}
	if body := ex.Response.Body; body != nil {
		var sink [4096]byte
		for read := 0; read < maxReplay; {
			n, err := body.Read(sink[:])
			if read += n; err != nil {
				break
			}
		}
	}
	discard(&ex.Response)
}

// clone copies what outlives the exchange; its strings do not.
func clone(req *exchange.Request) *exchange.Exchange {
	out := &exchange.Exchange{Client: nobody{}}
	r := &out.Request
	r.Proto, r.Remote, r.Local = req.Proto, req.Remote, req.Local
	r.Method, r.Scheme = strings.Clone(req.Method), strings.Clone(req.Scheme)
	r.Authority, r.Path = strings.Clone(req.Authority), strings.Clone(req.Path)
	r.Query, r.HasQuery = strings.Clone(req.Query), req.HasQuery
	for f := range req.Header.All() {
		r.Header.Add(strings.Clone(f.Name), strings.Clone(f.Value))
	}
	return out
}

// nobody is the client of a mirrored request.
type nobody struct{}

// Interim implements exchange.Client.
func (nobody) Interim(int, *exchange.Header) error { return nil }

// OnCancel implements exchange.Client.
func (nobody) OnCancel(func()) (stop func()) { return func() {} }

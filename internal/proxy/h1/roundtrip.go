package h1

import (
	"crypto/tls"
	"errors"
	"io"
	"sync"

	"github.com/citoroute/citoroute/internal/proxy/exchange"
)

var (
	errInterims    = errors.New("too many informational responses")
	errSwitch      = errors.New("protocol switch that was not asked for")
	errNeedsLength = errors.New("a body of unknown length cannot be sent to an HTTP/1.0 backend")
)

// roundTrip tries connections until one is used.
func (t *Transport) roundTrip(ex *exchange.Exchange, to *exchange.Target) *exchange.Failure {
	mem := smallBuffers.Get().(*[smallBuffer]byte)
	defer smallBuffers.Put(mem)
	a := attempt{ex: ex}
	if f := a.prepare(mem[:0]); f != nil {
		return f
	}
	key := poolKey{to.Addr, to.TLS}
	for fresh := false; ; {
		var f *exchange.Failure
		if a.up, f = t.connect(ex, to, key, fresh); f != nil {
			return f
		}
		f = a.run(to)
		switch {
		case f == nil:
			return nil
		case errors.Is(f.Err, errStale) && f.Reused: // nothing was sent
		case a.repeatable(f) && !fresh:
			fresh = true
		default:
			return f
		}
	}
}

// connect takes a connection from the pool or makes one.
func (t *Transport) connect(ex *exchange.Exchange, to *exchange.Target, key poolKey, fresh bool) (*upstream, *exchange.Failure) {
	u, entry := t.pool.get(key, fresh)
	if ex.Request.Body != nil && ex.Request.ContentLength == exchange.Unknown && entry.speaks10() {
		if kept := t.pool.put(entry, u); u != nil && !kept {
			_ = u.link.conn.Close()
		}
		return nil, &exchange.Failure{Stage: exchange.StageSend, Err: errNeedsLength}
	}
	if u != nil {
		u.reused = true
		return u, nil
	}
	u, err := t.dial(to, entry)
	if err != nil {
		t.pool.put(entry, nil)
		stage := exchange.StageConnect
		if _, bad := errors.AsType[tls.RecordHeaderError](err); bad {
			stage = exchange.StageHead // it answered, but not in TLS
		}
		return nil, &exchange.Failure{Stage: stage, Err: err}
	}
	u.reused = false
	return u, nil
}

// attempt is one request on one connection after the other.
type attempt struct {
	ex *exchange.Exchange
	// out is the head with as much of the body as was there; rest sends what
	// else there is.
	out    []byte
	rest   sender
	expect bool
	up     *upstream
	// heard says that bytes of a response came.
	heard bool
}

// repeatable says whether the request may be sent once more (RFC 9110 section
// 9.2.2): the backend closed a pooled connection just when it was used.
func (a *attempt) repeatable(f *exchange.Failure) bool {
	if !f.Reused || !a.rest.ended || a.heard || f.Stage != exchange.StageSend && f.Stage != exchange.StageAwait {
		return false
	}
	switch a.ex.Request.Method {
	case "GET", "HEAD", "OPTIONS", "PUT", "DELETE":
		return true
	}
	return false
}

func (a *attempt) run(to *exchange.Target) *exchange.Failure {
	u := a.up
	u.start(a.ex, to)
	a.heard = false
	err := a.send()
	if err == nil {
		err = a.readHead()
	}
	if err == nil {
		return nil
	}
	f := a.failure(err)
	// An upload has a say in why it failed: it is asked before it is ended.
	u.release(false, true)
	return f
}

// failure finds the stage of an error.
func (a *attempt) failure(err error) *exchange.Failure {
	f := &exchange.Failure{Reused: a.up.reused, Err: err}
	_, byClient := errors.AsType[*clientError](err)
	_, sending := errors.AsType[*writeError](err)
	switch {
	case byClient || errors.Is(err, exchange.ErrClientGone):
		f.Stage = exchange.StageClient
	case isDeadline(err) && !sending:
		f.Stage = exchange.StageTimeout
	case sending:
		f.Stage = exchange.StageSend
	case a.heard:
		f.Stage = exchange.StageHead
	default:
		f.Stage = exchange.StageAwait
	}
	return f
}

// prepare gathers what can be sent at once.
func (a *attempt) prepare(mem []byte) *exchange.Failure {
	q := &a.ex.Request
	a.rest = newSender(q)
	a.expect = q.ExpectContinue && !a.rest.ended && q.Body.Buffered() == 0
	var ok bool
	if a.out, ok = appendRequest(mem, q, a.expect); !ok {
		return &exchange.Failure{Stage: exchange.StageSend, Err: errInjection}
	}
	if a.expect {
		return nil
	}
	var err error
	if a.out, err = a.rest.fill(a.out, false); err != nil {
		return &exchange.Failure{Stage: exchange.StageClient, Err: err}
	}
	return nil
}

// send writes the request, and reads the first bytes of the response if that
// was all of it.
func (a *attempt) send() error {
	u := a.up
	if a.rest.ended {
		return a.swap(a.out)
	}
	if u.reused && u.link.stale() {
		return errStale
	}
	if err := u.link.write(a.out, u.transport.opt.WriteTimeout); err != nil {
		return &writeError{err}
	}
	if a.expect {
		if wanted, err := a.awaitContinue(); err != nil || !wanted {
			return err
		}
	}
	u.startUpload(a.rest)
	return nil
}

// swap sends a whole request and reads the first bytes of the response.
func (a *attempt) swap(out []byte) error {
	u := a.up
	if !u.reused {
		if err := u.link.write(out, u.transport.opt.WriteTimeout); err != nil {
			return &writeError{err}
		}
		return nil
	}
	if err := u.armSlow(u.limit); err != nil {
		return err
	}
	n, err := u.link.swap(out, u.in.buf, u.transport.opt.WriteTimeout)
	if timedOut(err) {
		if _, sending := errors.AsType[*writeError](err); sending {
			return err
		}
		n, err = u.receiveSlowly(u.in.buf, u.limit)
	}
	u.in.w = n
	if n > 0 {
		a.heard = true
		return nil
	}
	return err
}

// awaitContinue waits for an answer to "Expect: 100-continue" and says whether
// the body is to be sent. No answer in time means yes (RFC 9110 section 10.1.1).
func (a *attempt) awaitContinue() (bool, error) {
	u := a.up
	until := min(now().after(u.transport.opt.ContinueTimeout), u.limit)
	for {
		n, err := u.receive(u.in.buf[u.in.w:], until)
		u.in.w += n
		a.heard = a.heard || n > 0
		switch {
		case errors.Is(err, errTimeout) && until < u.limit:
			return true, nil
		case err != nil:
			return false, err
		}
		m, err := u.head.parse(u.in.bytes(), &u.transport.opt)
		switch {
		case err == nil && u.head.status == 100:
			u.in.r += m
			return true, nil
		case err == nil || err != errIncomplete || u.in.w == len(u.in.buf):
			return false, nil // readHead judges it
		}
	}
}

// readHead reads up to the final response head, and passes informational ones
// on.
func (a *attempt) readHead() error {
	u, opt := a.up, &a.up.transport.opt
	for interims := 0; ; {
		n, err := u.head.parse(u.in.bytes(), opt)
		if err == errIncomplete {
			err := u.moreHead()
			a.heard = a.heard || u.in.len() > 0
			if err != nil {
				return a.brokeOff(err)
			}
			continue
		}
		if err != nil {
			return err
		}
		u.in.r += n
		u.in.base = u.in.r
		interims++
		switch status := u.head.status; {
		case status >= 200:
			return a.finish()
		case interims > opt.Interims:
			return errInterims
		case status == 101:
			return a.upgrade()
		case status != 100 && u.client != nil && !u.noInterims:
			if err := u.client.Interim(status, &u.head.fields); err != nil {
				return &clientError{err}
			}
		}
	}
}

// brokeOff makes an end of the connection within a head an error of the head.
func (a *attempt) brokeOff(err error) error {
	if err == io.EOF && a.heard {
		return io.ErrUnexpectedEOF
	}
	return err
}

// finish fills the response. From here on nothing fails: what goes wrong in the
// body is the reader's to see.
func (a *attempt) finish() error {
	u, r, h := a.up, &a.ex.Response, &a.up.head
	u.target.heard(h.http10)
	r.Status, r.Body, r.Tunnel = h.status, nil, nil
	r.Header, h.fields = h.fields, r.Header
	r.ContentLength = h.length
	// A body that was announced and not sent leaves the connection undefined.
	f, keep := framedClose, h.keepAlive() && (a.rest.ended || u.upload != nil)
	switch {
	case a.ex.Request.Method == "HEAD" || h.status == 304:
		f = framedNone
	case h.status == 204:
		f, keep, r.ContentLength = framedNone, keep && h.length <= 0 && !h.encoded, 0
	case h.encoded:
		f = framedChunked
	case h.length == 0:
		f = framedNone
	case h.length > 0:
		f = framedLength
	default:
		keep = false
	}
	if f == framedNone {
		u.release(keep, false)
		return nil
	}
	u.body.reset(f, h.length, &r.Trailer)
	u.body.keep, u.body.open = keep, true
	r.Body = &u.body
	return nil
}

// upgrade checks a 101 and makes the connection a tunnel (RFC 9110 section 7.8).
func (a *attempt) upgrade() error {
	u, r, h := a.up, &a.ex.Response, &a.up.head
	if a.ex.Request.Upgrade == "" || !h.options.upgrade || !exchange.EqualFold(h.upgrade, a.ex.Request.Upgrade) ||
		h.length > 0 || h.encoded {
		return errSwitch
	}
	u.endWatch()
	if err := u.link.armRead(never, 0); err != nil {
		return err
	}
	r.Status, r.Body, r.ContentLength = h.status, nil, 0
	r.Header, h.fields = h.fields, r.Header
	r.Tunnel = &backendEnd{up: u}
	return nil
}

// backendEnd is the backend's side of a tunnel.
type backendEnd struct {
	up   *upstream
	once sync.Once
}

func (e *backendEnd) Read(p []byte) (int, error) {
	if in := &e.up.in; in.len() > 0 {
		n := copy(p, in.bytes())
		in.r += n
		return n, nil
	}
	return e.up.link.read(p)
}

func (e *backendEnd) Write(p []byte) (int, error) {
	if err := e.up.link.write(p, e.up.transport.opt.WriteTimeout); err != nil {
		return 0, err
	}
	return len(p), nil
}

// CloseWrite implements exchange.Tunnel.
func (e *backendEnd) CloseWrite() error { return e.up.link.closeWrite() }

// Close may be called while the other methods are in use, and more than once.
func (e *backendEnd) Close() error {
	e.once.Do(func() { e.up.transport.pool.put(e.up.target, nil) })
	return e.up.link.conn.Close()
}

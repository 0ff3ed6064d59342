package h1

import "time"

// quickWait is how soon a client sends its next request that is worth to be
// waited for without a look at what is there.
const quickWait = 25 * time.Millisecond

// mayTurn says whether the end of the response may be written and the next
// request be waited for in one go: nothing but that request can come then.
func (c *serverConn) mayTurn() bool {
	return c.quick && c.link.raw != nil && !c.closing && c.body.ended() && c.in.len() == 0
}

// turn writes the end of the response, ends the exchange and waits a little for
// the next request. A client that lets more time pass, and one that has sent
// something before it got the response, is waited for by readHead, which does
// look.
func (c *serverConn) turn() {
	_ = c.link.armRead(now().after(2*quickWait), quickWait) // if that fails, turn does
	n, rest, err := c.link.turn(c.writer.out)
	if len(rest) > 0 {
		if err == nil {
			err = c.link.write(rest, c.server.timeouts.Write)
		}
		c.endExchange(err)
		return
	}
	c.idle.Store(false)
	c.in.w += n
	switch {
	case n > 0:
	case timedOut(err): // or woken by Drain
		c.quick = false
	case err != nil:
		c.closing = true
	}
}

// onSent is called between the end of a response and the wait for a request.
// It returns the memory to read into, or nil where that must not be waited for.
func (c *serverConn) onSent() []byte {
	c.endExchange(nil)
	c.idle.Store(true)
	if c.server.draining.Load() {
		return nil
	}
	return c.in.buf[c.in.w:]
}

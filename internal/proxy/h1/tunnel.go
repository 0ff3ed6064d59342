package h1

import (
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/citoroute/citoroute/internal/proxy/exchange"
)

// tunnel writes the 101 and then copies bytes both ways until both sides have
// ended (RFC 9110 section 7.8). What the client sent behind its request was
// held back until now.
func (c *serverConn) tunnel() error {
	t := c.ex.Response.Tunnel
	c.begin()
	c.closing = true
	mem := smallBuffers.Get().(*[smallBuffer]byte)
	b, lines, _ := appendFields(appendStatusLine(mem[:0], 101), &c.ex.Response.Header)
	b = append(b, "Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n"...)
	err := errInjection
	if sound(b, lines+4) {
		err = c.link.write(b, c.server.timeouts.Write)
	}
	smallBuffers.Put(mem)
	if err != nil {
		return errors.Join(err, t.Close())
	}
	c.link.readBy = unarmed
	if err := c.link.armRead(never, 0); err != nil {
		return errors.Join(err, t.Close())
	}
	return c.copyBoth(t)
}

// copyBoth ends the one direction when its source ends, and both when either
// fails or both have been silent too long.
func (c *serverConn) copyBoth(t exchange.Tunnel) error {
	w := &tunnelWatch{idle: c.server.timeouts.Tunnel}
	var once sync.Once
	cut := func() {
		once.Do(func() {
			c.link.reset()
			_ = t.Close()
		})
	}
	w.start(cut)
	var up, down error
	done := make(chan struct{})
	go func() {
		defer close(done)
		if up = w.copy(t, clientEnd{c}, &c.body.read); up != nil {
			cut()
			return
		}
		_ = t.CloseWrite()
	}()
	if down = w.copy(clientEnd{c}, t, &c.sent); down != nil {
		cut()
	} else {
		_ = c.link.closeWrite()
	}
	<-done
	w.stop()
	_ = t.Close()
	return errors.Join(up, down)
}

// clientEnd is the client's side of a tunnel.
type clientEnd struct{ c *serverConn }

func (e clientEnd) Read(p []byte) (int, error) {
	if in := &e.c.in; in.len() > 0 {
		n := copy(p, in.bytes())
		in.r += n
		return n, nil
	}
	return e.c.link.read(p)
}

func (e clientEnd) Write(p []byte) (int, error) {
	if err := e.c.link.write(p, e.c.server.timeouts.Write); err != nil {
		return 0, err
	}
	return len(p), nil
}

// tunnelWatch notices that a tunnel is silent, without a deadline per read.
type tunnelWatch struct {
	idle  time.Duration
	last  atomic.Int64
	mu    sync.Mutex
	timer *time.Timer
}

func (w *tunnelWatch) start(cut func()) {
	w.last.Store(int64(now()))
	w.mu.Lock()
	defer w.mu.Unlock()
	w.timer = time.AfterFunc(w.idle, func() {
		silent := time.Duration(now() - instant(w.last.Load()))
		if silent >= w.idle {
			cut()
			return
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		w.timer.Reset(w.idle - silent)
	})
}

func (w *tunnelWatch) stop() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.timer.Stop()
}

// copy copies until src ends; its error is nil then.
func (w *tunnelWatch) copy(dst io.Writer, src io.Reader, count *int64) error {
	buf := make([]byte, 16<<10)
	for {
		n, err := src.Read(buf)
		if n > 0 {
			w.last.Store(int64(now()))
			if _, err := dst.Write(buf[:n]); err != nil {
				return err
			}
			*count += int64(n)
		}
		switch {
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		}
	}
}

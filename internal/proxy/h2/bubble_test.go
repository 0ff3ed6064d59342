package h2

import (
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	xhttp2 "golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/citoroute/citoroute/internal/proxy/exchange"
)

// peer is a client, frame by frame, in a bubble whose clock stands still while
// anything happens.
type peer struct {
	net.Conn
	*xhttp2.Framer
	ended chan struct{} // the server has closed the connection

	mu  sync.Mutex
	log []string
}

// limits are those of a Server in a bubble.
var limits = ServerOptions{HeaderTimeout: 10 * time.Second, IdleTimeout: time.Minute}

// bubble has test talk to a Server. The connection ends with it.
func bubble(t *testing.T, h exchange.Handler, test func(t *testing.T, p *peer, srv *Server)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		srv := NewServer(limits)
		served := make(chan struct{})
		go func() {
			defer close(served)
			srv.Serve(ours, nil, h)
		}()
		p := &peer{Conn: theirs, Framer: xhttp2.NewFramer(theirs, theirs), ended: make(chan struct{})}
		p.AllowIllegalWrites = true
		p.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
		go p.listen()
		test(t, p, srv)
		_ = theirs.Close()
		<-served
		<-p.ended
		time.Sleep(2 * limits.IdleTimeout) // for handlers that are slow to notice
	})
}

// hello begins the connection in order.
func (p *peer) hello(settings ...xhttp2.Setting) {
	_, _ = p.Write([]byte(xhttp2.ClientPreface))
	_ = p.WriteSettings(settings...)
	_ = p.WriteSettingsAck()
	synctest.Wait()
}

// open sends a request.
func (p *peer) open(stream uint32, end bool, fields ...string) error {
	return p.WriteHeaders(xhttp2.HeadersFrameParam{StreamID: stream, BlockFragment: encodeFields(fields...), EndHeaders: true, EndStream: end})
}

// block sends a request whose header block is given.
func (p *peer) block(stream uint32, block []byte) error {
	return p.WriteHeaders(xhttp2.HeadersFrameParam{StreamID: stream, BlockFragment: block, EndHeaders: true, EndStream: true})
}

// listen writes down every frame that comes.
func (p *peer) listen() {
	defer close(p.ended)
	pong := xhttp2.NewFramer(p.Conn, nil)
	for {
		f, err := p.ReadFrame()
		if err != nil {
			return
		}
		id := f.Header().StreamID
		var line string
		switch f := f.(type) {
		case *xhttp2.MetaHeadersFrame:
			line = fmt.Sprintf("%d %s", id, f.PseudoValue("status"))
		case *xhttp2.DataFrame:
			line = fmt.Sprintf("%d DATA %d", id, f.Length)
		case *xhttp2.RSTStreamFrame:
			line = fmt.Sprintf("%d RST %v", id, f.ErrCode)
		case *xhttp2.GoAwayFrame:
			line = fmt.Sprintf("GOAWAY %v", f.ErrCode)
		case *xhttp2.WindowUpdateFrame:
			line = fmt.Sprintf("%d WINDOW_UPDATE %d", id, f.Increment)
		case *xhttp2.PingFrame:
			if !f.IsAck() {
				_ = pong.WritePing(true, f.Data)
			}
			continue
		default:
			line = f.Header().Type.String()
		}
		p.mu.Lock()
		p.log = append(p.log, line)
		p.mu.Unlock()
	}
}

// saw says, when nothing more is happening, whether a frame has come.
func (p *peer) saw(line string) bool {
	synctest.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Contains(p.log, line)
}

// want has the test fail unless a frame has come.
func (p *peer) want(t *testing.T, line string) {
	t.Helper()
	if !p.saw(line) {
		t.Errorf("no %q among %s", line, p.all())
	}
}

func (p *peer) all() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Join(p.log[:min(len(p.log), 20)], "; ")
}

// forget empties the log.
func (p *peer) forget() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.log = nil
}

// gone says whether the server closes the connection within d.
func (p *peer) gone(d time.Duration) bool {
	select {
	case <-p.ended:
		return true
	case <-time.After(d):
		return false
	}
}

// load is a handler whose exchanges last until their client gives them up.
type load struct {
	mu                  sync.Mutex
	served, now, utmost int
}

func (l *load) Serve(ex *exchange.Exchange) {
	l.add(1)
	defer l.add(-1)
	gone := make(chan struct{})
	stop := ex.Client.OnCancel(func() { close(gone) })
	<-gone
	stop()
	ex.Response.Status = 200
}

func (l *load) add(n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.now += n
	l.served += max(n, 0)
	l.utmost = max(l.utmost, l.now)
}

func (*load) Finish(*exchange.Exchange, exchange.End) {}

// fixed is a body.
type fixed struct{ *strings.Reader }

func newBody(s string) exchange.Body { return fixed{strings.NewReader(s)} }

func (f fixed) Buffered() int { return f.Len() }
func (fixed) Close() error    { return nil }

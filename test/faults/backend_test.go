package faults

import (
	"bufio"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
)

// backend is an HTTP server that notes the X-Id of what it has begun to carry out.
type backend struct {
	*httptest.Server
	mutex sync.Mutex
	began map[string]int
	idle  map[net.Conn]bool
}

// serve runs a backend at address; handle nil answers with the request's X-Id.
func serve(t *testing.T, address string, handle http.HandlerFunc) *backend {
	t.Helper()
	b := &backend{began: map[string]int{}, idle: map[net.Conn]bool{}}
	b.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b.mutex.Lock()
		b.began[r.Header.Get("X-Id")]++
		b.mutex.Unlock()
		if handle == nil {
			_, _ = io.WriteString(w, r.Header.Get("X-Id"))
			return
		}
		handle(w, r)
	}))
	if address != "" {
		_ = b.Listener.Close()
		b.Listener = listen(t, address)
	}
	b.Config.ConnState = b.note
	b.Config.Protocols = new(http.Protocols)
	b.Config.Protocols.SetHTTP1(true)
	b.Config.Protocols.SetUnencryptedHTTP2(true)
	b.Start()
	t.Cleanup(b.kill)
	return b
}

func (b *backend) note(c net.Conn, state http.ConnState) {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	if delete(b.idle, c); state == http.StateIdle {
		b.idle[c] = true
	}
}

func (b *backend) address() string { return b.Listener.Addr().String() }

// seen is how often each request was begun.
func (b *backend) seen() map[string]int {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	return maps.Clone(b.began)
}

// kill ends the backend as SIGKILL would: what it was about to answer is lost.
func (b *backend) kill() {
	_ = b.Listener.Close()
	b.CloseClientConnections()
	_ = b.Config.Close()
}

// peer is a backend on bare TCP: it reads the head of each request and then does
// what it is told.
func peer(t *testing.T, then func(c *net.TCPConn)) (address string) {
	t.Helper()
	l := listen(t, "127.0.0.1:0")
	serveEach(t, l, func(c net.Conn) {
		if _, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
			then(c.(*net.TCPConn))
		}
	})
	return l.Addr().String()
}

// serveEach calls serve for every connection to l, for each beside the others.
func serveEach(t *testing.T, l net.Listener, serve func(net.Conn)) {
	t.Helper()
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = c.Close() }()
				serve(c)
			}()
		}
	}()
}

// say writes an answer, or a part of one.
func say(c *net.TCPConn, text string) { _, _ = io.WriteString(c, text) }

// reset ends a connection with RST instead of FIN.
func reset(c *net.TCPConn) {
	_ = c.SetLinger(0)
	_ = c.Close()
}

// closeIdle closes the connections that wait for a request.
func closeIdle(b *backend) {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	for c := range b.idle {
		_ = c.Close()
	}
}

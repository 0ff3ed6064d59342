package faults

import (
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/citoroute/citoroute/internal/bootstrap"
	"github.com/citoroute/citoroute/internal/ir"
)

// service gives each connection to one of its members in turn, as the Service of a
// Gateway does.
type service struct {
	net.Listener
	mutex   sync.Mutex
	members []string
}

func newService(t *testing.T, members ...string) *service {
	t.Helper()
	s := &service{Listener: listen(t, "127.0.0.1:0"), members: members}
	serveEach(t, s, func(c net.Conn) { s.forward(t, c) })
	return s
}

func (s *service) forward(t *testing.T, c net.Conn) {
	s.mutex.Lock()
	to := s.members[0]
	s.members = append(s.members[1:], to)
	s.mutex.Unlock()
	member, err := net.Dial("tcp", to)
	if err != nil {
		t.Errorf("a connection was lost: %v", err)
		return
	}
	defer func() { _ = member.Close() }()
	go func() {
		_, _ = io.Copy(member, c)
		_ = member.(*net.TCPConn).CloseWrite()
	}()
	_, _ = io.Copy(c, member)
}

func (s *service) set(members ...string) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.members = slices.Clone(members)
}

// TestFT005_Upgrade: a proxy takes another one's place, as in a rollout: the new one
// is asked when it is ready, the old one until it is known everywhere that it is
// not, which takes a while. No request fails, whatever its connection is like.
func TestFT005_Upgrade(t *testing.T) {
	t.Parallel()
	const drain, lag = 3 * time.Second, time.Second
	soon := settings{change: func(c *bootstrap.Config) { c.Timeouts.Drain = bootstrap.Duration(drain) }}
	kinds := map[string]func() *http.Transport{
		"/one-request":   func() *http.Transport { return &http.Transport{DisableKeepAlives: true} },
		"/many-requests": func() *http.Transport { return new(http.Transport) },
		"/http2": func() *http.Transport {
			t := &http.Transport{Protocols: new(http.Protocols)}
			t.Protocols.SetUnencryptedHTTP2(true)
			return t
		},
	}
	var resources []ir.Resource
	backends := map[string]*backend{}
	for path := range kinds {
		backends[path] = serve(t, "", nil)
		resources = append(resources, route(path[1:], path, ir.Rule{}, ir.ProtocolHTTP, backends[path].address())...)
	}
	old := start(t, soon, resources...)
	s := newService(t, old.address())
	loads := map[string]*load{}
	for path, client := range kinds {
		l := &load{t: t, method: "POST", url: "http://" + s.Addr().String() + path, pause: 5 * time.Millisecond, client: client}
		l.start()
		l.more(50)
		loads[path] = l
	}
	next := start(t, soon, resources...)
	s.set(old.address(), next.address())
	for _, l := range loads {
		l.more(100)
	}
	signal(t, old, syscall.SIGTERM)
	eventually(t, "the old one to be no longer ready", func() bool { return !old.ready() })
	<-time.After(lag) // what is tested
	s.set(next.address())
	<-old.done
	if old.err != nil {
		t.Errorf("the old one ended with %v", old.err)
	}
	for path, l := range loads {
		l.more(100)
		all := l.stop()
		for _, a := range failed(all) {
			t.Errorf("%s: %+v", path, a)
		}
		onceOnly(t, backends[path])
		t.Logf("%s: %d requests", path, len(all))
	}
}

// TestFT005_LastConnections: what a proxy has accepted until the moment that it stops
// to it also answers: nothing is left in the queue of its socket.
func TestFT005_LastConnections(t *testing.T) {
	t.Parallel()
	b := serve(t, "", nil)
	for range 5 {
		p := start(t, settings{change: func(c *bootstrap.Config) { c.Timeouts.Drain = bootstrap.Duration(300 * time.Millisecond) }},
			route("r", "/", ir.Rule{}, ir.ProtocolHTTP, b.address())...)
		l := &load{t: t, method: "POST", url: p.url("/"), client: func() *http.Transport { return &http.Transport{DisableKeepAlives: true} }}
		l.start()
		l.more(50)
		signal(t, p, syscall.SIGTERM)
		all := l.wait() // until it is refused
		for _, a := range failed(all) {
			if !refused(a) {
				t.Errorf("of %d: %+v", len(all), a)
			}
		}
		<-p.done
	}
}

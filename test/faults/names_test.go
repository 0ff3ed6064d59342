package faults

import (
	"encoding/binary"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/citoroute/citoroute/internal/ir"
)

// nameServer answers over UDP and TCP at 127.0.0.1:53.
type nameServer struct {
	mutex sync.Mutex
	zone  map[string]zone // by name, with its last dot
	asked map[string]int
}

// zone is what is answered about a name. Others are not there.
type zone struct {
	addresses []netip.Addr
	code      dnsmessage.RCode
	silent    bool
	truncated bool // over UDP
}

// startNameServer has the network's resolver ask a name server of the test's.
func startNameServer(t *testing.T) *nameServer {
	t.Helper()
	file := filepath.Join(t.TempDir(), "resolv.conf")
	// As in a cluster, where a namespace is called com.
	const config = "nameserver 127.0.0.1\nsearch ns.svc.test svc.test\noptions ndots:5 timeout:1 attempts:2\n"
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), "mount", "--bind", file, "/etc/resolv.conf").CombinedOutput(); err != nil {
		t.Skipf("/etc/resolv.conf cannot be another one: %s", out)
	}
	s := &nameServer{zone: map[string]zone{}, asked: map[string]int{}}
	datagrams, err := (&net.ListenConfig{}).ListenPacket(t.Context(), "udp", "127.0.0.1:53")
	if err != nil {
		t.Fatal(err)
	}
	stream := listen(t, "127.0.0.1:53")
	t.Cleanup(func() { _, _ = datagrams.Close(), stream.Close() })
	go s.serveDatagrams(datagrams)
	go s.serveStream(stream)
	return s
}

func (s *nameServer) serveDatagrams(conn net.PacketConn) {
	b := make([]byte, 1500)
	for {
		n, from, err := conn.ReadFrom(b)
		if err != nil {
			return
		}
		if answer := s.answer(b[:n], true); answer != nil {
			_, _ = conn.WriteTo(answer, from)
		}
	}
}

func (s *nameServer) serveStream(l net.Listener) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		var length [2]byte
		if _, err := io.ReadFull(conn, length[:]); err == nil {
			question := make([]byte, binary.BigEndian.Uint16(length[:]))
			if _, err := io.ReadFull(conn, question); err == nil {
				answer := s.answer(question, false)
				_, _ = conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(answer))), answer...))
			}
		}
		_ = conn.Close()
	}
}

// answer is nil where there is none.
func (s *nameServer) answer(question []byte, datagram bool) []byte {
	var m dnsmessage.Message
	if err := m.Unpack(question); err != nil || len(m.Questions) != 1 {
		return nil
	}
	q := m.Questions[0]
	s.mutex.Lock()
	s.asked[q.Name.String()]++
	z, there := s.zone[strings.ToLower(q.Name.String())]
	s.mutex.Unlock()
	m.Response, m.RecursionAvailable, m.Additionals, m.RCode = true, true, nil, z.code
	switch {
	case z.silent:
		return nil
	case !there:
		m.RCode = dnsmessage.RCodeNameError
	case z.truncated && datagram:
		m.Truncated = true
	case z.code == dnsmessage.RCodeSuccess:
		for _, a := range z.addresses {
			m.Answers = append(m.Answers, record(q, a)...)
		}
	}
	b, err := m.Pack()
	if err != nil {
		return nil
	}
	return b
}

// record is none where the address is not of the family that is asked for.
func record(q dnsmessage.Question, a netip.Addr) []dnsmessage.Resource {
	h := dnsmessage.ResourceHeader{Name: q.Name, Class: q.Class, Type: q.Type} // lives for no time
	switch {
	case q.Type == dnsmessage.TypeA && a.Is4():
		return []dnsmessage.Resource{{Header: h, Body: &dnsmessage.AResource{A: a.As4()}}}
	case q.Type == dnsmessage.TypeAAAA && a.Is6():
		return []dnsmessage.Resource{{Header: h, Body: &dnsmessage.AAAAResource{AAAA: a.As16()}}}
	}
	return nil
}

func (s *nameServer) set(name string, z zone) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.zone[name] = z
}

// questions is how often a name was asked for.
func (s *nameServer) questions(name string) int {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return s.asked[name]
}

// namedRoute goes to the port of address by a name.
func namedRoute(name, address string) []ir.Resource {
	_, port, _ := net.SplitHostPort(address)
	return route("r", "/", ir.Rule{}, ir.ProtocolHTTP, net.JoinHostPort(name, port))
}

// serveOnce is a backend that ends each connection after one request.
func serveOnce(t *testing.T, address string) *backend {
	t.Helper()
	return serve(t, address, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Connection", "close")
		_, _ = io.WriteString(w, r.Header.Get("X-Id"))
	})
}

var good = netip.MustParseAddr("10.1.0.2")

// TestFT025_NameServerFails: who knew a backend's addresses notices nothing of it.
func TestFT025_NameServerFails(t *testing.T) {
	if !isolated(t, "address add 10.1.0.0/16 dev lo") {
		return
	}
	names := startNameServer(t)
	b := serveOnce(t, good.String()+":0")
	for name, fault := range map[string]zone{
		"servfail": {code: dnsmessage.RCodeServerFailure},
		"refused":  {code: dnsmessage.RCodeRefused},
		"silent":   {silent: true},
		"gone":     {code: dnsmessage.RCodeNameError},
		"empty":    {},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			host := name + ".example.com"
			names.set(host+".", zone{addresses: []netip.Addr{good}})
			p := start(t, settings{}, namedRoute(host, b.address())...)
			one := func() {
				status, body := ask(t, new(http.Transport), "POST", p.url("/"), "1")
				if status != http.StatusOK {
					t.Fatalf("got %d %q", status, body)
				}
			}
			for range 200 { // each over a connection of its own
				one()
			}
			before := names.questions(host + ".")
			if before > 4 { // two families; a slow machine may need long
				t.Errorf("200 connections asked %d times", before)
			}
			names.set(host+".", fault)
			eventually(t, "a question that fails", func() bool {
				<-time.After(20 * time.Millisecond) // the others need the machine, too
				one()
				return names.questions(host+".") > before+4 // again and again
			})
			one()
		})
	}
}

// TestFT025_Answers: of those of a name server that are odd, what is good is used.
func TestFT025_Answers(t *testing.T) {
	if !isolated(t, "address add 10.1.0.0/16 dev lo", "address add 10.2.0.66/32 dev lo") {
		return
	}
	names := startNameServer(t)
	b := serveOnce(t, good.String()+":0")
	_, port, _ := net.SplitHostPort(b.address())
	stranger := serveOnce(t, "10.2.0.66:"+port)
	var many []netip.Addr // at most of which nobody listens
	for i := range 1000 {
		many = append(many, netip.AddrFrom4([4]byte{10, 1, 1 + byte(i>>8), byte(i)}))
	}
	unreachable := netip.MustParseAddr("fd00::9")
	for name, z := range map[string]zone{
		"many":   {addresses: slices.Insert(slices.Clone(many), 10, good), truncated: true},
		"family": {addresses: []netip.Addr{unreachable, good}},
		"home":   {addresses: []netip.Addr{netip.MustParseAddr("127.0.0.1"), good}},
		"com":    {addresses: []netip.Addr{good}},
	} {
		t.Run(name, func(t *testing.T) {
			host := name + ".example.com"
			names.set(host+".", z)
			names.set(host+".svc.test.", zone{addresses: []netip.Addr{netip.MustParseAddr("10.2.0.66")}})
			p := start(t, settings{}, namedRoute(host, b.address())...)
			for range 50 {
				if status, body := ask(t, new(http.Transport), "POST", p.url("/"), name); status != http.StatusOK {
					t.Fatalf("got %d %q", status, body)
				}
			}
			if n := names.questions(host + "."); n > 8 {
				t.Errorf("asked %d times", n)
			}
		})
	}
	if n := len(stranger.seen()); n > 0 {
		t.Errorf("%d requests came to whoever has a namespace called com", n)
	}
	t.Run("service", func(t *testing.T) {
		names.set("b.models.svc.test.", zone{addresses: []netip.Addr{good}})
		p := start(t, settings{}, namedRoute("b.models", b.address())...)
		if status, body := ask(t, new(http.Transport), "POST", p.url("/"), "1"); status != http.StatusOK {
			t.Errorf("got %d %q", status, body)
		}
	})
	t.Run("nobody", func(t *testing.T) {
		p := start(t, settings{}, namedRoute("nobody.example.com", b.address())...)
		if status, body := ask(t, new(http.Transport), "POST", p.url("/"), "1"); status != http.StatusServiceUnavailable {
			t.Errorf("got %d %q", status, body)
		}
	})
}

// Package redistest runs a real redis-server for tests. It is for tests only.
package redistest

import (
	"net"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// Server is a redis-server of a test's own, on a loopback port, which keeps
// nothing when it stops.
type Server struct {
	// Address is host:port.
	Address string

	t       testing.TB
	args    []string
	process *exec.Cmd
}

// Start runs a server until the test ends; args are more of its settings. The
// test is skipped where redis-server is not installed, as by
// `apt-get install redis-server`.
func Start(t testing.TB, args ...string) *Server {
	t.Helper()
	if _, err := exec.LookPath("redis-server"); err != nil {
		t.Skip("redis-server is not installed: apt-get install redis-server")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // it is closed at once.
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{Address: l.Addr().String(), t: t, args: args}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	s.Run()
	t.Cleanup(s.Stop)
	return s
}

// Run starts a server that was stopped, and waits until it answers.
func (s *Server) Run() {
	s.t.Helper()
	host, port, _ := net.SplitHostPort(s.Address)
	args := append([]string{"--bind", host, "--port", port, "--save", "", "--appendonly", "no", "--dir", s.t.TempDir()}, s.args...)
	s.process = exec.Command("redis-server", args...) //nolint:gosec,noctx // a test gives the settings; Stop ends it.
	var log strings.Builder
	s.process.Stdout = &log
	if err := s.process.Start(); err != nil {
		s.t.Fatal(err)
	}
	for deadline := time.Now().Add(10 * time.Second); ; {
		conn, err := net.DialTimeout("tcp", s.Address, time.Second) //nolint:noctx // it has a timeout.
		if err == nil {
			_ = conn.Close()
			return
		}
		if time.Now().After(deadline) {
			s.Stop()
			s.t.Fatalf("redis-server does not answer: %v\n%s", err, log.String())
		}
		<-time.After(5 * time.Millisecond)
	}
}

// Stop ends the server at once, as a crash would.
func (s *Server) Stop() {
	if s.process != nil {
		_ = s.process.Process.Kill()
		_ = s.process.Wait()
		s.process = nil
	}
}

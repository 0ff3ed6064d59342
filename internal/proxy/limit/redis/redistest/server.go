// Package redistest runs real servers that speak the Redis protocol for tests.
// It is for tests only.
package redistest

import (
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/citoroute/citoroute/internal/certtest"
	"github.com/citoroute/citoroute/internal/porttest"
)

// The servers, by the names of their programs.
const (
	Redis  = "redis-server"
	Valkey = "valkey-server"
)

// Server is a server of a test's own, on a loopback port, which keeps nothing
// when it stops.
type Server struct {
	// Address is host:port.
	Address string

	t       testing.TB
	program string
	args    []string
	process *exec.Cmd
}

// Start runs a redis-server until the test ends; args are more of its settings.
// The test is skipped where it is not installed.
func Start(t testing.TB, args ...string) *Server {
	t.Helper()
	return start(t, Redis, porttest.Address(t), args)
}

// StartProgram is Start for Redis or Valkey.
func StartProgram(t testing.TB, program string, args ...string) *Server {
	t.Helper()
	return start(t, program, porttest.Address(t), args)
}

// StartTLS is StartProgram for a server that speaks nothing but TLS, and asks
// for a certificate of the authority's.
func StartTLS(t testing.TB, program string, by *certtest.Pair, args ...string) *Server {
	t.Helper()
	address := porttest.Address(t)
	_, port, _ := net.SplitHostPort(address)
	certificate, key := files(t, by)
	return start(t, program, address, append([]string{
		"--port", "0", "--tls-port", port, "--tls-auth-clients", "yes",
		"--tls-cert-file", certificate, "--tls-key-file", key, "--tls-ca-cert-file", certificate,
	}, args...))
}

// require is set where all servers must be there: a test that is skipped
// because one is not would go unnoticed.
const require = "REQUIRE_REDIS"

func start(t testing.TB, program, address string, args []string) *Server {
	t.Helper()
	if _, err := exec.LookPath(program); err != nil {
		if os.Getenv(require) != "" {
			t.Fatalf("%s is not installed: run hack/redis.sh", program)
		}
		t.Skipf("%s is not installed: run hack/redis.sh", program)
	}
	s := &Server{Address: address, t: t, program: program, args: args}
	s.Run()
	t.Cleanup(s.Stop)
	return s
}

// Run starts a server that was stopped, and waits until it answers.
func (s *Server) Run() {
	s.t.Helper()
	host, port, _ := net.SplitHostPort(s.Address)
	args := append([]string{"--bind", host, "--port", port, "--save", "", "--appendonly", "no", "--dir", s.t.TempDir()}, s.args...)
	s.process = exec.Command(s.program, args...) //nolint:gosec,noctx // a test gives the settings; Stop ends it.
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
			s.t.Fatalf("%s does not answer: %v\n%s", s.program, err, log.String())
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

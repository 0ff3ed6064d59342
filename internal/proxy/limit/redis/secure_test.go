package redis

import (
	"strings"
	"testing"
	"time"

	"github.com/citoroute/citoroute/internal/ir"
	"github.com/citoroute/citoroute/internal/proxy/limit"
	"github.com/citoroute/citoroute/internal/proxy/limit/redis/redistest"
)

// leastUser is the user of docs/limits.md, who may do what a proxy does and
// nothing else.
var leastUser = []string{
	"--user", "citoroute", "on", ">secret", "~{p}*", "-@all", "+eval", "+evalsha", "+get", "+incrby", "+expire", "+del",
	"--user", "default", "off",
}

// programs runs a test with each server.
func programs(t *testing.T, test func(t *testing.T, program string)) {
	t.Helper()
	for _, program := range []string{redistest.Redis, redistest.Valkey} {
		t.Run(program, func(t *testing.T) { test(t, program) })
	}
}

// use reserves and settles at a server, by what a Secret has.
func use(t *testing.T, address string, secret *ir.Secret) error {
	t.Helper()
	server := newServer(&ir.Redis{Address: address, TLS: true, Prefix: "p"}, secret)
	o := server.options()
	o.Timeout = patient
	s := Open(o)
	t.Cleanup(func() { _ = s.Close() })
	now := time.Now()
	c := charge(limit.Day, 5, 3)
	taken, err := s.Reserve(c, now)
	if err != nil {
		return err
	}
	if !taken {
		t.Error("there was room")
	}
	return s.Settle([]limit.Change{{Key: c[0].Key, Window: limit.Day, Start: c[0].Start, Delta: -3}}, now)
}

// A server with TLS is shown a certificate and is asked for its own, and a user
// has a password and no rights besides those that are needed.
func TestServers_TLS(t *testing.T) {
	// A server that refuses a certificate may be gone before it has said so.
	const refused = "limits at "
	programs(t, func(t *testing.T, program string) {
		own, other := redistest.NewAuthority(t), redistest.NewAuthority(t)
		server := redistest.StartTLS(t, program, own, leastUser...)
		good := func(change func(*ir.Secret)) *ir.Secret {
			s := &ir.Secret{
				CA: own.PEM(), Certificate: own.PEM(), Key: own.KeyPEM(t),
				Values: map[string]ir.Bytes{"username": ir.Bytes("citoroute\n"), "password": ir.Bytes("secret\n")},
			}
			change(s)
			return s
		}
		for name, test := range map[string]struct {
			change func(*ir.Secret)
			want   string // in the error
		}{
			"Good":              {func(*ir.Secret) {}, ""},
			"OtherAuthority":    {func(s *ir.Secret) { s.CA = other.PEM() }, "certificate signed by unknown authority"},
			"MachinesAuthority": {func(s *ir.Secret) { s.CA = nil }, "certificate"},
			"NoCertificate":     {func(s *ir.Secret) { s.Certificate, s.Key = nil, nil }, refused},
			"OthersCertificate": {func(s *ir.Secret) { s.Certificate, s.Key = other.PEM(), other.KeyPEM(t) }, refused},
			"KeyOfAnother":      {func(s *ir.Secret) { s.Key = other.KeyPEM(t) }, "private key does not match"},
			"NoPassword":        {func(s *ir.Secret) { s.Values = nil }, "NOAUTH"},
			"WrongPassword":     {func(s *ir.Secret) { s.Values["password"] = ir.Bytes("guess") }, "WRONGPASS"},
			"NoUsername":        {func(s *ir.Secret) { delete(s.Values, "username") }, "WRONGPASS"},
		} {
			t.Run(name, func(t *testing.T) {
				err := use(t, server.Address, good(test.change))
				if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
					t.Errorf("%v, want %q", err, test.want)
				}
				if err != nil && strings.Contains(err.Error(), "guess") {
					t.Errorf("the password is in the error: %v", err)
				}
			})
		}
	})
}

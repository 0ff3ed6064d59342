package authority

import (
	"bytes"
	"crypto/x509"
	"testing"
	"time"
)

var (
	start = time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)
	hosts = []string{"citoroute-controller.citoroute-system.svc"}
)

// renewed fails the test unless Renew says changed.
func renewed(t *testing.T, m Material, now time.Time, changed bool) Material {
	t.Helper()
	next, got, err := m.Renew(hosts, now)
	if err != nil {
		t.Fatal(err)
	}
	if got != changed {
		t.Fatalf("%v: changed = %t, want %t", now, got, changed)
	}
	return next
}

// trusts says that a client that knows only bundle accepts what m serves.
func trusts(t *testing.T, bundle []byte, m Material, now time.Time) bool {
	t.Helper()
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(bundle) {
		t.Fatal("no certificate in the bundle")
	}
	pair, err := m.TLS()
	if err != nil {
		t.Fatal(err)
	}
	_, err = pair.Leaf.Verify(x509.VerifyOptions{DNSName: hosts[0], Roots: pool, CurrentTime: now})
	return err == nil
}

func TestRenew_IsStableUntilDue(t *testing.T) {
	m := renewed(t, Material{}, start, true)
	if !trusts(t, m.Authorities, m, start) {
		t.Error("a client does not accept the first certificate")
	}
	for _, after := range []time.Duration{time.Second, 2 * time.Hour, servingLife / 2} {
		renewed(t, m, start.Add(after), false)
	}
	next := renewed(t, m, start.Add(servingLife*3/4), true)
	if !bytes.Equal(next.Authorities, m.Authorities) {
		t.Error("a new serving certificate brought a new authority")
	}
}

func TestRenew_NeverLosesAClientThatKnowsAnOldBundle(t *testing.T) {
	now := start
	m := renewed(t, Material{}, now, true)
	for range 3 * 365 * 2 { // three years in steps of twelve hours
		now = now.Add(12 * time.Hour)
		next, _, err := m.Renew(hosts, now)
		if err != nil {
			t.Fatal(err)
		}
		if !trusts(t, m.Authorities, next, now) {
			t.Fatalf("%v: a client with the bundle of the step before does not accept the certificate", now)
		}
		m = next
	}
}

func TestRenew_ReplacesWhatIsBroken(t *testing.T) {
	good := renewed(t, Material{}, start, true)
	other := renewed(t, Material{}, start, true)
	for name, m := range map[string]Material{
		"NoAuthority":      {Certificate: good.Certificate, Key: good.Key},
		"ForeignAuthority": {Authorities: other.Authorities, AuthorityKeys: other.AuthorityKeys, Certificate: good.Certificate, Key: good.Key},
		"ForeignKey":       {Authorities: good.Authorities, AuthorityKeys: other.AuthorityKeys, Certificate: good.Certificate, Key: good.Key},
		"Garbage":          {Authorities: []byte("a"), AuthorityKeys: []byte("b"), Certificate: []byte("c"), Key: []byte("d")},
	} {
		t.Run(name, func(t *testing.T) {
			next := renewed(t, m, start.Add(time.Minute), true)
			if !trusts(t, next.Authorities, next, start.Add(time.Minute)) {
				t.Error("a client does not accept the mended certificate")
			}
		})
	}
	if _, changed, err := good.Renew([]string{"other.svc"}, start); err != nil || !changed {
		t.Errorf("another host name: changed = %t, %v", changed, err)
	}
}

package redirect

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/nftables"
	"golang.org/x/sys/unix"

	"github.com/citoroute/citoroute/internal/bootstrap"
	"github.com/citoroute/citoroute/internal/proxy/capture"
	"github.com/citoroute/citoroute/internal/proxy/redirect/redirecttest"
)

const (
	// Addresses that nobody has, like those of Services.
	service4, service6 = "10.96.0.10", "fd00:96::10"
	// Addresses of this "pod".
	pod4, pod6 = "10.0.0.1", "fd00::1"
	link4      = "169.254.0.1"
	link6      = "fe80::1%lo"
	// timeout is for what must happen.
	timeout = 5 * time.Second
)

func newPod(t *testing.T) {
	t.Helper()
	redirecttest.Namespace(t,
		"link set lo up",
		"address add "+pod4+"/32 dev lo", "address add "+pod6+"/128 dev lo nodad",
		"address add "+link4+"/32 dev lo", "address add fe80::1/128 dev lo nodad",
		"route add 10.96.0.0/16 dev lo", "route add fd00:96::/64 dev lo",
	)
}

// programmed puts tables into the kernel, or skips where it knows no nftables.
func programmed(t *testing.T, c Config) {
	t.Helper()
	skipped, err := Program(Tables(c))
	if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.EPROTONOSUPPORT) {
		t.Skip(err)
	}
	if skipped != nil || err != nil {
		t.Fatalf("Program: skipped %v, error %v", skipped, err)
	}
}

// listen answers each connection to an address with the name of the listener
// and where the connection was going.
func listen(t *testing.T, name, address string) {
	t.Helper()
	ln, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			fmt.Fprintf(c, "%s %s", name, originalDestination(c.(*net.TCPConn)))
			c.Close()
		}
	}()
}

// originalDestination is what the sidecar learns, or for a connection that was
// not redirected its own address.
func originalDestination(c *net.TCPConn) string {
	if to, err := capture.Destination(c); err == nil {
		return to.String()
	}
	return c.LocalAddr().String()
}

// dial returns the answer to a connection that a user opens, from this thread.
func dial(t *testing.T, user int, address string) string {
	t.Helper()
	if err := syscall.Setfsuid(user); err != nil {
		t.Fatal(err)
	}
	defer syscall.Setfsuid(0)
	c, err := net.DialTimeout("tcp", address, timeout)
	if err != nil {
		return err.Error()
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(timeout))
	b, err := io.ReadAll(c)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

func TestProgram_RedirectsAndLeavesAlone(t *testing.T) {
	newPod(t)
	for _, host := range []string{"127.0.0.1", "::1"} {
		listen(t, "sidecar", net.JoinHostPort(host, fmt.Sprint(bootstrap.CapturePort)))
	}
	for _, host := range []string{"127.0.0.1", "::1", pod4, pod6, link4, link6} {
		for _, port := range []string{"80", "5432"} {
			listen(t, "program", net.JoinHostPort(host, port))
		}
	}
	// Once more, as a container that is restarted does, over other rules.
	programmed(t, Config{Exclude: prefixes("10.96.0.0/16", "fd00:96::/64")})
	programmed(t, Config{Exclude: prefixes("10.0.0.2/32", "fd00::2/128"), ExcludePorts: []uint16{5432}})
	const user = 1000
	for _, c := range []struct {
		user       int
		host, port string
		by         string
	}{
		{user, service4, "80", "sidecar"},
		{user, service6, "80", "sidecar"},
		{0, service4, "443", "sidecar"},
		{user, pod4, "80", "sidecar"},
		{user, pod6, "80", "sidecar"},
		{bootstrap.SidecarUserID, pod4, "80", "program"},
		{bootstrap.SidecarUserID, pod6, "80", "program"},
		{user, "127.0.0.1", "80", "program"},
		{user, "::1", "80", "program"},
		{user, link4, "80", "program"},
		{user, link6, "80", "program"},
		{user, pod4, "5432", "program"},
		{user, pod6, "5432", "program"},
	} {
		address := net.JoinHostPort(c.host, c.port)
		want := c.by + " " + strings.ReplaceAll(address, "%lo", "") // the kernel keeps no zone
		if got := dial(t, c.user, address); got != want {
			t.Errorf("user %d to %s: %q, want %q", c.user, address, got, want)
		}
	}
}

func TestProgram_ByDestination(t *testing.T) {
	newPod(t)
	listen(t, "sidecar", net.JoinHostPort("127.0.0.1", fmt.Sprint(bootstrap.CapturePort)))
	listen(t, "program", net.JoinHostPort(pod4, "80"))
	for name, c := range map[string]struct {
		config Config
		want   string
	}{
		"Included":            {Config{Include: prefixes("10.0.0.0/24")}, "sidecar"},
		"NotIncluded":         {Config{Include: prefixes("10.96.0.0/12")}, "program"},
		"Excluded":            {Config{Exclude: prefixes("10.0.0.0/24")}, "program"},
		"NotExcluded":         {Config{Exclude: prefixes("10.0.0.0/32", "10.0.1.0/24")}, "sidecar"},
		"IncludedAndExcluded": {Config{Include: prefixes("10.0.0.0/8"), Exclude: prefixes(pod4 + "/32")}, "program"},
	} {
		programmed(t, c.config)
		if got, want := dial(t, 0, pod4+":80"), c.want+" "+pod4+":80"; got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

func TestProgram_ReplacesWhatItProgrammed(t *testing.T) {
	newPod(t)
	want := Tables(Config{ExcludePorts: []uint16{22}})
	for range 3 {
		programmed(t, Config{ExcludePorts: []uint16{22}})
		for i, family := range []nftables.TableFamily{nftables.TableFamilyIPv4, nftables.TableFamilyIPv6} {
			c := &nftables.Conn{}
			rules, err := c.GetRules(&nftables.Table{Name: tableName, Family: family}, &nftables.Chain{Name: chainName})
			if err != nil {
				t.Fatal(err)
			}
			if len(rules) != len(want[i].Rules) {
				t.Errorf("%d rules, want %d", len(rules), len(want[i].Rules))
			}
		}
	}
}

// withoutCapabilities takes all from this thread.
func withoutCapabilities(t *testing.T) {
	t.Helper()
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var none [2]unix.CapUserData
	if err := unix.Capset(&header, &none[0]); err != nil {
		t.Fatal(err)
	}
}

func TestProgram_NamesTheMissingCapability(t *testing.T) {
	redirecttest.Namespace(t)
	withoutCapabilities(t)
	_, err := Program(Tables(Config{}))
	if !errors.Is(err, unix.EPERM) || !strings.Contains(err.Error(), "NET_ADMIN") {
		t.Errorf("%v, want one that names NET_ADMIN", err)
	}
}

// A kernel that does not know a batch answers it once, and is silent for the
// rest of it: the answer is what counts.
func TestExplain_NamesWhatTheKernelLacks(t *testing.T) {
	err := explain(Table{IPv6: true}, fmt.Errorf("receive: %w", errors.Join(unix.EOPNOTSUPP, os.ErrDeadlineExceeded)))
	for _, want := range []string{"kernel", "family ip6", "nft_redir"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not name %s", err, want)
		}
	}
	if strings.Contains(err.Error(), "timeout") || !errors.Is(err, unix.EOPNOTSUPP) {
		t.Errorf("%q: want the kernel's answer alone", err)
	}
}

// A kernel that refuses the rules of IPv6, for whatever reason, matters in a
// pod that has IPv6 alone.
func TestProgram_IPv6IsWantedWhereItIs(t *testing.T) {
	ipv6 := Tables(Config{})[1:]
	t.Run("Absent", func(t *testing.T) {
		redirecttest.Namespace(t, "link set lo up")
		withoutCapabilities(t)
		if skipped, err := Program(ipv6); skipped == nil || err != nil {
			t.Errorf("skipped %v, error %v; want it skipped", skipped, err)
		}
	})
	t.Run("Present", func(t *testing.T) {
		newPod(t)
		withoutCapabilities(t)
		if _, err := Program(ipv6); err == nil {
			t.Error("a pod with IPv6 is not redirected, and nobody hears of it")
		}
	})
}

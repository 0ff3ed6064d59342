package jwks

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"time"
)

const (
	maxDocument  = 1 << 20 // bytes
	fetchTimeout = 5 * time.Second
)

// Fetcher returns a function that gets a document: for five seconds at most and
// one mebibyte at most, without credentials, proxies or redirects. Over https it
// may come from the internet at large and from the networks in inside, over http
// from those alone. What counts is the address that is dialled, so that a name
// cannot change its mind in between.
func Fetcher(inside []netip.Prefix) func(ctx context.Context, url string) ([]byte, error) {
	return fetcher(inside, fetchTimeout)
}

func fetcher(inside []netip.Prefix, timeout time.Duration) func(context.Context, string) ([]byte, error) {
	within := func(a netip.Addr) bool {
		return slices.ContainsFunc(inside, func(p netip.Prefix) bool { return p.Contains(a) })
	}
	secure := newClient(func(a netip.Addr) bool { return public(a) || within(a) }, timeout)
	plain := newClient(within, timeout)
	return func(ctx context.Context, url string) ([]byte, error) {
		client := plain
		if strings.HasPrefix(strings.ToLower(url), "https:") {
			client = secure
		}
		return get(ctx, client, url)
	}
}

// newClient returns a client that dials addresses that allow says yes to.
func newClient(allow func(netip.Addr) bool, timeout time.Duration) *http.Client {
	dialer := &net.Dialer{
		Timeout: timeout,
		Control: func(_, address string, _ syscall.RawConn) error { return check(address, allow) },
	}
	return &http.Client{
		Timeout: timeout,
		Transport: &http.Transport{
			DialContext:            dialer.DialContext,
			DisableKeepAlives:      true,
			DisableCompression:     true,
			MaxResponseHeaderBytes: 64 << 10,
			TLSHandshakeTimeout:    timeout,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// check refuses an address that is about to be dialled and is not allowed.
func check(address string, allow func(netip.Addr) bool) error {
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("address %q: %w", address, err)
	}
	if !allow(to.Addr().Unmap()) {
		return fmt.Errorf("keys may not be fetched from %s: it is not in a network of token issuers", to.Addr())
	}
	return nil
}

func get(ctx context.Context, client *http.Client, url string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return nil, fmt.Errorf("fetch keys: %w", err)
	}
	req.Header.Set("Accept", "application/jwk-set+json, application/json")
	req.Header.Set("Accept-Encoding", "identity")
	resp, err := client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("fetch keys: %w", err)
	}
	defer resp.Body.Close()
	body, err := read(resp)
	if err != nil {
		return nil, fmt.Errorf("fetch keys: %w", err)
	}
	return body, nil
}

// read returns the document of an answer.
func read(resp *http.Response) ([]byte, error) {
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("status %d", resp.StatusCode)
	}
	if encoding := resp.Header.Get("Content-Encoding"); encoding != "" && encoding != "identity" {
		return nil, fmt.Errorf("content encoding %q", encoding)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxDocument+1))
	if err == nil && len(body) > maxDocument {
		err = fmt.Errorf("the document is larger than %d bytes", maxDocument)
	}
	return body, err
}

// public says whether an address is one of the internet at large: neither this
// machine, nor its link, nor a private or shared network, nor a multicast group.
func public(a netip.Addr) bool {
	return a.IsGlobalUnicast() && !a.IsPrivate() && !slices.ContainsFunc(special(), func(p netip.Prefix) bool { return p.Contains(a) })
}

// special are networks that look public and are not.
func special() []netip.Prefix {
	return []netip.Prefix{
		netip.MustParsePrefix("0.0.0.0/8"),     // this network, RFC 1122
		netip.MustParsePrefix("192.0.0.0/24"),  // protocol assignments, RFC 6890; some cloud's metadata
		netip.MustParsePrefix("100.64.0.0/10"), // shared, RFC 6598
		netip.MustParsePrefix("198.18.0.0/15"), // benchmarks, RFC 2544
		netip.MustParsePrefix("240.0.0.0/4"),   // reserved, RFC 1112
		netip.MustParsePrefix("64:ff9b::/96"),  // IPv4 behind NAT64, RFC 6052
		netip.MustParsePrefix("64:ff9b:1::/48"),
		netip.MustParsePrefix("2002::/16"), // IPv4 in 6to4, RFC 3056
		netip.MustParsePrefix("2001::/32"), // IPv4 in Teredo, RFC 4380
		netip.MustParsePrefix("::/96"),     // IPv4 as it was once embedded, RFC 4291
		netip.MustParsePrefix("fec0::/10"), // site-local, RFC 3879
	}
}

// Local are the networks of a gateway that its user runs on a machine of their
// own: the machine itself, and private networks.
func Local() []netip.Prefix {
	return []netip.Prefix{
		netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128"),
		netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("172.16.0.0/12"), netip.MustParsePrefix("192.168.0.0/16"),
	}
}

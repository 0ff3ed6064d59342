package jwks

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"syscall"
	"time"
)

const (
	maxDocument  = 1 << 20 // bytes
	fetchTimeout = 5 * time.Second
)

// Fetcher returns a function that gets a document over https, or over http
// where insecure allows it: for five seconds at most and one mebibyte at most,
// without credentials, proxies or redirects. allow says which addresses may be
// dialled; it is asked with the address that a name was resolved to, so that a
// name cannot change its mind in between.
func Fetcher(allow func(netip.Addr) bool, insecure bool) func(context.Context, string) ([]byte, error) {
	dialer := &net.Dialer{
		Timeout: fetchTimeout,
		Control: func(_, address string, _ syscall.RawConn) error {
			to, err := netip.ParseAddrPort(address)
			if err != nil {
				return fmt.Errorf("address %q: %w", address, err)
			}
			if !allow(to.Addr().Unmap()) {
				return fmt.Errorf("keys may not be fetched from %s", to.Addr())
			}
			return nil
		},
	}
	client := &http.Client{
		Timeout: fetchTimeout,
		Transport: &http.Transport{
			DialContext:            dialer.DialContext,
			DisableKeepAlives:      true,
			DisableCompression:     true,
			MaxResponseHeaderBytes: 64 << 10,
			TLSHandshakeTimeout:    fetchTimeout,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return func(ctx context.Context, url string) ([]byte, error) { return get(ctx, client, url, insecure) }
}

func get(ctx context.Context, client *http.Client, url string, insecure bool) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return nil, fmt.Errorf("fetch keys: %w", err)
	}
	if req.URL.Scheme != "https" && (req.URL.Scheme != "http" || !insecure) {
		return nil, errors.New("fetch keys: the URL is not https")
	}
	req.Header.Set("Accept", "application/jwk-set+json, application/json")
	req.Header.Set("Accept-Encoding", "identity")
	resp, err := client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("fetch keys: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("fetch keys: status %d", resp.StatusCode)
	}
	if encoding := resp.Header.Get("Content-Encoding"); encoding != "" && encoding != "identity" {
		return nil, fmt.Errorf("fetch keys: content encoding %q", encoding)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxDocument+1))
	if err != nil {
		return nil, fmt.Errorf("fetch keys: %w", err)
	}
	if len(body) > maxDocument {
		return nil, fmt.Errorf("fetch keys: the document is larger than %d bytes", maxDocument)
	}
	return body, nil
}

// Public says whether an address is one of the internet at large: neither this
// machine, nor its link, nor a private or shared network, nor a multicast group.
func Public(a netip.Addr) bool {
	a = a.Unmap()
	return a.IsGlobalUnicast() && !a.IsPrivate() && !shared.Contains(a) && !reserved.Contains(a) && !benchmark.Contains(a)
}

// NotThisMachine says whether an address is neither this machine's own nor one
// of its link, where clouds keep their metadata. Issuers in the cluster have
// such addresses.
func NotThisMachine(a netip.Addr) bool {
	a = a.Unmap()
	return a.IsGlobalUnicast() && a != metadata6 && !reserved.Contains(a)
}

var (
	shared    = netip.MustParsePrefix("100.64.0.0/10") // RFC 6598
	reserved  = netip.MustParsePrefix("240.0.0.0/4")   // RFC 1112
	benchmark = netip.MustParsePrefix("198.18.0.0/15") // RFC 2544
	metadata6 = netip.MustParseAddr("fd00:ec2::254")
)

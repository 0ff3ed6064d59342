package runtime

import (
	"cmp"
	"strings"

	"github.com/citoroute/citoroute/internal/proxy/exchange"
	"github.com/citoroute/citoroute/internal/proxy/filter/headers"
)

// What happens to fields by which a backend learns about the client:
//
//	X-Forwarded-For     the client's address is appended
//	X-Forwarded-Proto   http or https, by the connection
//	X-Forwarded-Host    the host that the client asked for
//	Forwarded, X-Forwarded-Port, X-Forwarded-Prefix, X-Forwarded-Server,
//	X-Real-Ip, True-Client-Ip, X-Original-Url, X-Rewrite-Url,
//	Client-Cert, Client-Cert-Chain (RFC 9440), X-Forwarded-Client-Cert and what
//	else tells of a client's certificate
//	                    removed: a client must not tell them
//
// Spellings of these with _ for - are removed, because many servers read both
// as the same. Mesh listeners leave all of them alone.
//
// by is the trusted proxy that the request came from, or nil: what it is believed
// to tell takes the place of what this proxy would say.
func (st *state) forwarded(req *exchange.Request, by *proxies) {
	says := told{proto: req.Scheme, host: req.Authority}
	if by != nil {
		other := by.told(&req.Header)
		says = told{cmp.Or(other.proto, says.proto), cmp.Or(other.host, says.host), other.port}
	}
	start := st.scratch.Start()
	b := st.scratch.Bytes()
	req.Header.Filter(func(f exchange.Field) bool {
		switch fate(f.Name) {
		case appended:
			b = append(append(b, f.Value...), ", "...)
			return false
		case dropped:
			return false
		default:
			return true
		}
	})
	if req.Remote.IsValid() {
		b = req.Remote.Addr().Unmap().WithZone("").AppendTo(b)
	}
	st.scratch.Keep(b)
	if chain := strings.TrimSuffix(st.scratch.End(start), ", "); chain != "" {
		req.Header.Add("X-Forwarded-For", chain)
	}
	req.Header.Add("X-Forwarded-Proto", says.proto)
	if says.host != "" {
		req.Header.Add("X-Forwarded-Host", says.host)
	}
	if says.port != "" {
		req.Header.Add("X-Forwarded-Port", says.port)
	}
}

type fieldFate uint8

const (
	kept fieldFate = iota
	appended
	dropped
)

// fate says what becomes of a field that a client sent. It is called for every
// field, so it looks at the length first.
func fate(name string) fieldFate {
	const forwardedFor = "X-Forwarded-For"
	var candidates [2]string
	switch len(name) {
	case len("Forwarded"): // and X-Real-Ip
		candidates = [2]string{"Forwarded", "X-Real-Ip"}
	case len("X-Original-Url"):
		candidates = [2]string{"X-Original-Url", "True-Client-Ip"}
	case len("X-Rewrite-Url"):
		candidates = [2]string{"X-Rewrite-Url"}
	case len(forwardedFor):
		if exchange.EqualFold(name, forwardedFor) {
			return appended
		}
		candidates = [2]string{forwardedFor}
	case len("X-Forwarded-Host"):
		candidates = [2]string{"X-Forwarded-Host", "X-Forwarded-Port"}
	case len("X-Forwarded-Proto"):
		candidates = [2]string{"X-Forwarded-Proto"}
	case len("X-Forwarded-Prefix"):
		candidates = [2]string{"X-Forwarded-Prefix", "X-Forwarded-Server"}
	}
	for _, c := range candidates {
		if c != "" && isSpelling(name, c) {
			return dropped
		}
	}
	if tellsCertificate(name) {
		return dropped
	}
	return kept
}

// isSpelling says that servers may read name as the field of that name.
func isSpelling(name, field string) bool {
	return exchange.EqualFold(name, field) || headers.IsAlias(name, field)
}

// tellsCertificate says that a backend may take the field for what a proxy has
// found out of the client's certificate. Nearly all fields differ in the first
// letters.
func tellsCertificate(name string) bool {
	if len(name) < len("Client-Cert") {
		return false
	}
	begins := func(with string) bool { return len(name) >= len(with) && isSpelling(name[:len(with)], with) }
	switch name[0] | 0x20 {
	case 'c':
		return begins("Client-Cert")
	case 's':
		return begins("Ssl-Client-")
	case 'x':
		return begins("X-Forwarded-Client-Cert") || begins("X-Forwarded-Tls-Client-Cert") || begins("X-Ssl-Client-") || begins("X-Client-Cert")
	}
	return false
}

package clientaddr

import (
	"bytes"
	"errors"
	"net/netip"
	"strconv"
	"strings"
)

// What the header of the PROXY protocol begins with (PROXY protocol
// specification, sections 2.1 and 2.2).
const (
	signature1 = "PROXY "
	signature2 = "\r\n\r\n\x00\r\nQUIT\n"
)

// maxLine is the length of the longest header of version 1, with its CRLF.
const maxLine = 107

// maxHeader is the length of the longest header of version 2 that is read, in
// bytes. The protocol allows 64 KiB; what load balancers add takes a few hundred
// bytes, or a few thousand with a client's certificate in it.
const maxHeader = 16 << 10

var errNoHeader = errors.New("the connection does not begin with a header of the PROXY protocol")

// Begins says whether what begins with b begins with a header of either version.
// sure says that no further bytes can change that.
func Begins(b []byte) (yes, sure bool) {
	for _, s := range [...]string{signature1, signature2} {
		switch {
		case strings.HasPrefix(string(b), s):
			return true, true
		case strings.HasPrefix(s, string(b)):
			return false, false
		}
	}
	return false, true
}

// Parse reads the header of the PROXY protocol, of either version, at the
// beginning of b. client is invalid where the header says that the connection is
// the load balancer's own, or tells no address: then its other end is the client.
// n is the length of the header; 0: b is not all of it yet. An error says that b
// begins with no header, or with one that is wrong, which more bytes do not mend.
func Parse(b []byte) (client netip.AddrPort, n int, err error) {
	switch yes, sure := Begins(b); {
	case !sure:
		return netip.AddrPort{}, 0, nil
	case !yes:
		return netip.AddrPort{}, 0, errNoHeader
	case b[0] == signature1[0]:
		return parse1(b)
	}
	return parse2(b)
}

// parse1 reads "PROXY TCP4 192.0.2.1 192.0.2.2 1234 80" and CRLF.
func parse1(b []byte) (client netip.AddrPort, n int, err error) {
	line, _, ended := bytes.Cut(b[:min(len(b), maxLine)], []byte("\n"))
	switch {
	case !ended && len(b) >= maxLine:
		return client, 0, errors.New("PROXY v1: the header has more than 107 bytes")
	case !ended:
		return client, 0, nil
	}
	n = len(line) + 1
	text, ok := strings.CutSuffix(string(line), "\r")
	if !ok || strings.IndexByte(text, '\r') >= 0 {
		return client, 0, errors.New("PROXY v1: the header does not end with CRLF")
	}
	text = text[len(signature1):]
	if text == "UNKNOWN" || strings.HasPrefix(text, "UNKNOWN ") {
		return client, n, nil
	}
	words := strings.Split(text, " ")
	if len(words) != 5 {
		return client, 0, errors.New("PROXY v1: want a protocol, two addresses and two ports")
	}
	family, source, destination := words[0], words[1], words[2]
	if client, err = endpoint1(family, source, words[3]); err == nil {
		_, err = endpoint1(family, destination, words[4])
	}
	if err != nil {
		return netip.AddrPort{}, 0, err
	}
	return client, n, nil
}

// endpoint1 reads one end of a connection as version 1 writes it.
func endpoint1(family, address, port string) (netip.AddrPort, error) {
	a, err := netip.ParseAddr(address)
	switch {
	case err != nil || a.Zone() != "":
		return netip.AddrPort{}, errors.New("PROXY v1: an address is malformed")
	case family == "TCP4" && a.Is4(), family == "TCP6" && a.Is6():
	default:
		return netip.AddrPort{}, errors.New("PROXY v1: want TCP4, TCP6 or UNKNOWN and addresses of that family")
	}
	p, err := strconv.ParseUint(port, 10, 16)
	if err != nil || port != strconv.FormatUint(p, 10) { // no sign, no leading zero
		return netip.AddrPort{}, errors.New("PROXY v1: a port is malformed")
	}
	return netip.AddrPortFrom(a.Unmap(), uint16(p)), nil
}

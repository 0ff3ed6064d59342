package clientaddr

import (
	"encoding/binary"
	"hash/crc32"
	"net/netip"
	"strings"
	"testing"
)

// header2 is a header of version 2: version and command, family and transport,
// then the parts that its length counts.
func header2(command, family byte, parts ...string) string {
	body := strings.Join(parts, "")
	b := append([]byte(signature2), command, family)
	b = binary.BigEndian.AppendUint16(b, uint16(len(body)))
	return string(b) + body
}

const (
	inet  = "\xc0\x00\x02\x01\xc0\x00\x02\x02\x04\xd2\x00\x50"                                                           // 192.0.2.1:1234 to 192.0.2.2:80
	inet6 = "\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01" + "0123456789abcdef" + "\xff\xff\x00\x50" // [2001:db8::1]:65535
)

// summed is a header with a right checksum behind its addresses.
func summed(rest string) string {
	h := []byte(header2(0x21, 0x11, inet, "\x03\x00\x04\x00\x00\x00\x00", rest))
	at := fixed2 + len(inet) + 3
	binary.BigEndian.PutUint32(h[at:], crc32.Checksum(h, crc32.MakeTable(crc32.Castagnoli)))
	return string(h)
}

// row is a case of the security catalogue: a header and what is read of it.
type row struct {
	header string
	want   string // "": an error, "socket": no address
}

func rows() map[string]row {
	long := strings.Repeat("x", maxLine)
	return map[string]row{
		"WG-024/TCP4":                {"PROXY TCP4 192.0.2.1 192.0.2.2 1234 80\r\n", "192.0.2.1:1234"},
		"WG-024/TCP6":                {"PROXY TCP6 2001:db8::1 ::1 65535 0\r\n", "[2001:db8::1]:65535"},
		"WG-024/Mapped":              {"PROXY TCP6 ::ffff:192.0.2.1 ::1 1 2\r\n", "192.0.2.1:1"},
		"WG-024/Unknown":             {"PROXY UNKNOWN\r\n", "socket"},
		"WG-024/UnknownWithMore":     {"PROXY UNKNOWN ffff:f:f:f:f:f:f:f whatever\r\n", "socket"},
		"WG-024/Unknowns":            {"PROXY UNKNOWNS\r\n", ""},
		"WG-024/Longest":             {"PROXY UNKNOWN " + long[:maxLine-16] + "\r\n", "socket"},
		"WG-024/NoLineIn107Bytes":    {"PROXY UNKNOWN " + long, ""},
		"WG-024/OneByteTooLong":      {"PROXY UNKNOWN " + long[:maxLine-15] + "\r\n", ""},
		"WG-024/LineFeedAlone":       {"PROXY TCP4 192.0.2.1 192.0.2.2 1234 80\n", ""},
		"WG-024/ReturnWithin":        {"PROXY UNKNOWN \r \r\n", ""},
		"WG-024/IPv6InTCP4":          {"PROXY TCP4 2001:db8::1 192.0.2.2 1234 80\r\n", ""},
		"WG-024/IPv4InTCP6":          {"PROXY TCP6 2001:db8::1 192.0.2.2 1234 80\r\n", ""},
		"WG-024/Zone":                {"PROXY TCP6 fe80::1%eth0 ::1 1234 80\r\n", ""},
		"WG-024/Port65536":           {"PROXY TCP4 192.0.2.1 192.0.2.2 65536 80\r\n", ""},
		"WG-024/DestinationPort":     {"PROXY TCP4 192.0.2.1 192.0.2.2 1234 65536\r\n", ""},
		"WG-024/LeadingZeroPort":     {"PROXY TCP4 192.0.2.1 192.0.2.2 01234 80\r\n", ""},
		"WG-024/LeadingZeroAddress":  {"PROXY TCP4 192.0.02.1 192.0.2.2 1234 80\r\n", ""},
		"WG-024/Sign":                {"PROXY TCP4 192.0.2.1 192.0.2.2 +1234 80\r\n", ""},
		"WG-024/TwoSpaces":           {"PROXY TCP4  192.0.2.1 192.0.2.2 1234 80\r\n", ""},
		"WG-024/SpaceAtTheEnd":       {"PROXY TCP4 192.0.2.1 192.0.2.2 1234 80 \r\n", ""},
		"WG-024/TooFew":              {"PROXY TCP4 192.0.2.1 192.0.2.2 1234\r\n", ""},
		"WG-024/Udp":                 {"PROXY UDP4 192.0.2.1 192.0.2.2 1234 80\r\n", ""},
		"WG-024/LowerCase":           {"proxy TCP4 192.0.2.1 192.0.2.2 1234 80\r\n", ""},
		"WG-024/Absent":              {"GET / HTTP/1.1\r\n\r\n", ""},
		"WG-025/IPv4":                {header2(0x21, 0x11, inet), "192.0.2.1:1234"},
		"WG-025/IPv6":                {header2(0x21, 0x21, inet6), "[2001:db8::1]:65535"},
		"WG-025/TLV":                 {header2(0x21, 0x11, inet, "\x04\x00\x01x\xea\x00\x00"), "192.0.2.1:1234"},
		"WG-025/Signature":           {strings.Replace(header2(0x21, 0x11, inet), "QUIT", "QUIP", 1), ""},
		"WG-025/Version1":            {header2(0x11, 0x11, inet), ""},
		"WG-025/Version3":            {header2(0x31, 0x11, inet), ""},
		"WG-025/Command2":            {header2(0x22, 0x11, inet), ""},
		"WG-025/ShorterThanAddress":  {header2(0x21, 0x11, inet[:11]), ""},
		"WG-025/ShorterThanAddress6": {header2(0x21, 0x21, inet6[:35]), ""},
		"WG-025/Length65535":         {header2(0x21, 0x11, strings.Repeat("x", 65535)), ""},
		"WG-025/LongestThatIsRead":   {header2(0x21, 0x11, inet, "\x04\x3f\xe1", strings.Repeat("x", maxHeader-fixed2-len(inet)-3)), "192.0.2.1:1234"},
		"WG-025/TLVOverrun":          {header2(0x21, 0x11, inet, "\x04\x00\x02x"), ""},
		"WG-025/StrayByte":           {header2(0x21, 0x11, inet, "\x04\x00\x01x", "\x04"), ""},
		"WG-025/StrayBytes":          {header2(0x21, 0x11, inet, "\x00\x00"), ""},
		"WG-025/Checksum":            {summed(""), "192.0.2.1:1234"},
		"WG-025/ChecksumAndTLV":      {summed("\x04\x00\x01x"), "192.0.2.1:1234"},
		"WG-025/ChecksumBad":         {header2(0x21, 0x11, inet, "\x03\x00\x04abcd"), ""},
		"WG-025/ChecksumLength":      {header2(0x21, 0x11, inet, "\x03\x00\x03abc"), ""},
		"WG-025/ChecksumTwice":       {summed("\x03\x00\x04\x00\x00\x00\x00"), ""},
		"WG-025/Local":               {header2(0x20, 0x00), "socket"},
		"WG-025/LocalWithAddresses":  {header2(0x20, 0x11, inet, "stray"), "socket"},
		"WG-025/Unix":                {header2(0x21, 0x31, strings.Repeat("u", 216)), "socket"},
		"WG-025/UnixTooShort":        {header2(0x21, 0x31, strings.Repeat("u", 215)), ""},
		"WG-025/Unspecified":         {header2(0x21, 0x00, "anything"), "socket"},
		"WG-025/Datagram":            {header2(0x21, 0x12, inet), "socket"},
		"WG-025/Family4":             {header2(0x21, 0x41, inet), ""},
		"WG-025/Transport3":          {header2(0x21, 0x13, inet), ""},
	}
}

// show is an outcome of Parse as a row has it.
func show(client netip.AddrPort, err error) string {
	switch {
	case err != nil:
		return ""
	case !client.IsValid():
		return "socket"
	}
	return client.String()
}

// TestParse_Rows has every header whole, with what a client says behind it, and
// byte by byte.
func TestParse_Rows(t *testing.T) {
	for name, r := range rows() {
		t.Run(name, func(t *testing.T) {
			const more = "\r\n\r\nPROXY " // belongs to the client
			client, n, err := Parse([]byte(r.header + more))
			if got := show(client, err); got != r.want {
				t.Fatalf("got %q, %v, want %q", got, err, r.want)
			}
			if err == nil && n != len(r.header) {
				t.Errorf("the header has %d bytes, want %d", n, len(r.header))
			}
			for have := range len(r.header) {
				_, n, err := Parse([]byte(r.header[:have]))
				if err != nil && r.want == "" {
					return
				}
				if err != nil || n != 0 {
					t.Fatalf("%d of %d bytes: n %d, %v", have, len(r.header), n, err)
				}
			}
		})
	}
}

func FuzzParse(f *testing.F) {
	for _, r := range rows() {
		f.Add([]byte(r.header))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		client, n, err := Parse(b)
		switch {
		case err != nil:
			if client.IsValid() || n != 0 {
				t.Errorf("an error with %v, %d", client, n)
			}
		case n == 0:
			if len(b) >= maxHeader {
				t.Errorf("%d bytes are not enough", len(b))
			}
		case n > len(b):
			t.Errorf("a header of %d in %d bytes", n, len(b))
		default:
			again, m, err := Parse(b[:n])
			if again != client || m != n || err != nil {
				t.Errorf("alone it is %v, %d, %v", again, m, err)
			}
			if client.Addr().Is4In6() || client.Addr().Zone() != "" {
				t.Errorf("the address %v", client)
			}
		}
	})
}

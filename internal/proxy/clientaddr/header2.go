package clientaddr

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"net/netip"
)

// Parts of a header of version 2 (PROXY protocol specification, section 2.2).
const (
	fixed2 = len(signature2) + 4 // version and command, family and transport, length

	commandLocal = 0x0
	commandProxy = 0x1

	familyUnspecified = 0x0
	familyInet        = 0x1
	familyInet6       = 0x2
	familyUnix        = 0x3

	transportStream   = 0x1
	transportDatagram = 0x2 // the last that is assigned

	tlvChecksum = 0x03 // PP2_TYPE_CRC32C
)

// parse2 reads the binary header.
func parse2(b []byte) (client netip.AddrPort, n int, err error) {
	if len(b) < fixed2 {
		return client, 0, nil
	}
	version, command := b[12]>>4, b[12]&0xf
	length := fixed2 + int(binary.BigEndian.Uint16(b[14:]))
	switch {
	case version != 2:
		return client, 0, errors.New("PROXY v2: the version is not 2")
	case command > commandProxy:
		return client, 0, errors.New("PROXY v2: the command is neither LOCAL nor PROXY")
	case length > maxHeader:
		return client, 0, errors.New("PROXY v2: the header has more than 16 KiB")
	case len(b) < length:
		return client, 0, nil
	case command == commandLocal: // whatever else it says is to be skipped
		return client, length, nil
	}
	if client, err = addresses2(b[:length]); err != nil {
		return netip.AddrPort{}, 0, err
	}
	return client, length, nil
}

// addresses2 reads what comes behind the length in a header of a proxied
// connection. Addresses that are none of TCP are skipped.
func addresses2(header []byte) (client netip.AddrPort, err error) {
	family, transport := header[13]>>4, header[13]&0xf
	if family > familyUnix || transport > transportDatagram {
		return client, errors.New("PROXY v2: the family or the transport is not one that there is")
	}
	rest := header[fixed2:]
	size := 0 // of one address
	switch family {
	case familyUnspecified: // and nobody knows how long it is
		return client, nil
	case familyInet:
		size = 4
	case familyInet6:
		size = 16
	}
	taken := 2*size + 4
	if family == familyUnix {
		taken = 2 * 108
	}
	if len(rest) < taken {
		return client, errors.New("PROXY v2: the header is shorter than its addresses")
	}
	if err := checkTLVs(header, fixed2+taken); err != nil {
		return client, err
	}
	if size == 0 || transport != transportStream {
		return client, nil
	}
	a, _ := netip.AddrFromSlice(rest[:size]) // 4 or 16 bytes
	return netip.AddrPortFrom(a.Unmap(), binary.BigEndian.Uint16(rest[2*size:])), nil
}

// checkTLVs sees that the types, lengths and values from an offset on end where
// the header does, and that a checksum among them is right.
func checkTLVs(header []byte, from int) error {
	summed := false
	for at := from; at < len(header); {
		if len(header)-at < 3 {
			return errors.New("PROXY v2: bytes are left behind the last TLV")
		}
		value := at + 3
		end := value + int(binary.BigEndian.Uint16(header[at+1:]))
		if end > len(header) {
			return errors.New("PROXY v2: a TLV is longer than the header")
		}
		if header[at] == tlvChecksum {
			if summed || end-value != 4 || binary.BigEndian.Uint32(header[value:]) != checksum(header, value) {
				return errors.New("PROXY v2: the checksum is wrong")
			}
			summed = true
		}
		at = end
	}
	return nil
}

// checksum is the CRC32C of a header with zeros in the place of the checksum.
func checksum(header []byte, at int) uint32 {
	table := crc32.MakeTable(crc32.Castagnoli) // made once, by the library
	sum := crc32.Update(0, table, header[:at])
	sum = crc32.Update(sum, table, []byte{0, 0, 0, 0})
	return crc32.Update(sum, table, header[at+4:])
}

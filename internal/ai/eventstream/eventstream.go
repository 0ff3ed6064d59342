// Package eventstream reads and writes Amazon's event stream encoding
// (application/vnd.amazon.eventstream), incrementally: any split of the input
// gives the same messages, in linear time and bounded memory. It imports the
// standard library only.
//
// A message is, in network byte order:
//
//	total length (4) | headers length (4) | CRC-32 of those 8 bytes (4)
//	headers | payload | CRC-32 of everything before (4)
package eventstream

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
)

const (
	preludeLen = 12
	crcLen     = 4
	// MaxMessage is the longest message that the format allows: 16 MiB.
	MaxMessage = 16 << 20
	// MaxHeaders is the longest header block that the format allows: 128 KiB.
	MaxHeaders = 128 << 10
)

// ErrMalformed is wrapped by every decoding error. A stream cannot be read on
// after it.
var ErrMalformed = errors.New("malformed event stream message")

// Message is one message. Headers other than strings are checked and passed
// over: no protocol that we speak uses them. Its fields are valid until the
// next call of the Decoder that made it.
type Message struct {
	// Headers holds the string headers by name.
	Headers map[string]string
	Payload []byte
}

// Decoder splits a stream into messages. The zero value is ready.
type Decoder struct {
	buf []byte
}

// Write feeds p and calls emit for every message that p completes. It stops
// at the first error, which is emit's or wraps ErrMalformed.
func (d *Decoder) Write(p []byte, emit func(Message) error) error {
	for {
		need, err := d.need()
		if err != nil {
			return err
		}
		if take := min(need-len(d.buf), len(p)); take > 0 {
			d.buf = append(d.buf, p[:take]...)
			p = p[take:]
		}
		if len(d.buf) < need {
			return nil
		}
		if need == preludeLen {
			continue // now the length is known
		}
		m, err := parse(d.buf)
		if err != nil {
			return err
		}
		d.buf = d.buf[:0]
		if err := emit(m); err != nil {
			return err
		}
	}
}

// Pending says whether part of a message is held: at the end of a stream it
// means that the stream broke off.
func (d *Decoder) Pending() bool { return len(d.buf) > 0 }

// need is how many bytes must be held for the next step. The length is only
// trusted once the prelude's checksum has been seen to be right.
func (d *Decoder) need() (int, error) {
	if len(d.buf) < preludeLen {
		return preludeLen, nil
	}
	total := binary.BigEndian.Uint32(d.buf)
	headers := binary.BigEndian.Uint32(d.buf[4:])
	if got, want := crc32.ChecksumIEEE(d.buf[:8]), binary.BigEndian.Uint32(d.buf[8:]); got != want {
		return 0, fmt.Errorf("%w: prelude checksum is %08x, want %08x", ErrMalformed, got, want)
	}
	switch {
	case total < preludeLen+crcLen || total > MaxMessage:
		return 0, fmt.Errorf("%w: length %d", ErrMalformed, total)
	case headers > MaxHeaders || headers > total-preludeLen-crcLen:
		return 0, fmt.Errorf("%w: headers length %d in a message of %d", ErrMalformed, headers, total)
	}
	return int(total), nil
}

func parse(b []byte) (Message, error) {
	end := len(b) - crcLen
	if got, want := crc32.ChecksumIEEE(b[:end]), binary.BigEndian.Uint32(b[end:]); got != want {
		return Message{}, fmt.Errorf("%w: message checksum is %08x, want %08x", ErrMalformed, got, want)
	}
	split := preludeLen + int(binary.BigEndian.Uint32(b[4:]))
	headers, err := parseHeaders(b[preludeLen:split])
	if err != nil {
		return Message{}, err
	}
	return Message{Headers: headers, Payload: b[split:end]}, nil
}

// Types of header values.
const (
	typeTrue byte = iota
	typeFalse
	typeByte
	typeShort
	typeInt
	typeLong
	typeBytes
	typeString
	typeTimestamp
	typeUUID
)

func parseHeaders(b []byte) (map[string]string, error) {
	headers := make(map[string]string, 3)
	for len(b) > 0 {
		n := int(b[0])
		if n == 0 || len(b) < 1+n+1 {
			return nil, fmt.Errorf("%w: header name", ErrMalformed)
		}
		name, kind := string(b[1:1+n]), b[1+n]
		b = b[2+n:]
		size, err := valueSize(kind, b)
		if err != nil {
			return nil, fmt.Errorf("header %q: %w", name, err)
		}
		if kind == typeString {
			headers[name] = string(b[2:size])
		}
		b = b[size:]
	}
	return headers, nil
}

// valueSize is the number of bytes that a value of that kind takes at the
// front of b, its own length included.
func valueSize(kind byte, b []byte) (int, error) {
	size := 0
	switch kind {
	case typeTrue, typeFalse:
	case typeByte:
		size = 1
	case typeShort:
		size = 2
	case typeInt:
		size = 4
	case typeLong, typeTimestamp:
		size = 8
	case typeUUID:
		size = 16
	case typeBytes, typeString:
		if len(b) < 2 {
			return 0, fmt.Errorf("%w: length of value", ErrMalformed)
		}
		size = 2 + int(binary.BigEndian.Uint16(b))
	default:
		return 0, fmt.Errorf("%w: value type %d", ErrMalformed, kind)
	}
	if len(b) < size {
		return 0, fmt.Errorf("%w: value of %d bytes, %d left", ErrMalformed, size, len(b))
	}
	return size, nil
}

// Header is a string header to write.
type Header struct{ Name, Value string }

// Append appends a message to dst. Names must be 1 to 255 bytes long, values
// at most 65,535.
func Append(dst []byte, headers []Header, payload []byte) []byte {
	start := len(dst)
	dst = append(dst, make([]byte, preludeLen)...)
	for _, h := range headers {
		dst = append(dst, byte(len(h.Name)))
		dst = append(dst, h.Name...)
		dst = append(dst, typeString)
		dst = binary.BigEndian.AppendUint16(dst, uint16(len(h.Value)))
		dst = append(dst, h.Value...)
	}
	headersLen := len(dst) - start - preludeLen
	dst = append(dst, payload...)
	message := dst[start:]
	binary.BigEndian.PutUint32(message, uint32(len(message)+crcLen))
	binary.BigEndian.PutUint32(message[4:], uint32(headersLen))
	binary.BigEndian.PutUint32(message[8:], crc32.ChecksumIEEE(message[:8]))
	return binary.BigEndian.AppendUint32(dst, crc32.ChecksumIEEE(message))
}

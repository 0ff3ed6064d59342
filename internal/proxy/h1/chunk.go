package h1

import (
	"errors"
	"strings"

	"github.com/citoroute/citoroute/internal/proxy/exchange"
)

var (
	errChunk       = errors.New("malformed chunk")
	errChunkBloat  = errors.New("chunk framing outweighs its data")
	errTrailer     = errors.New("malformed trailer")
	errTrailerSize = errors.New("trailer too large")
)

const (
	maxChunkLine  = 4 << 10  // a chunk-size line with its extensions
	maxChunkBloat = 16 << 10 // framing beyond what small chunks need
	maxTrailer    = 8 << 10
	maxChunkSize  = 1 << 59
)

// chunkState is what the decoder expects next.
type chunkState uint8

const (
	chunkSize chunkState = iota // first digit of a size
	chunkDigits
	chunkExtName
	chunkExtNameMore
	chunkExtValue
	chunkExtToken
	chunkExtQuoted
	chunkExtEscape
	chunkExtEnd
	chunkSizeLF
	chunkData
	chunkDataCR
	chunkDataLF
	chunkTrailer // first byte after the last chunk
	chunkTrailerMore
	chunkLastLF
	chunkDone
)

// chunkDecoder finds the data in a chunked body (RFC 9112 section 7.1). It is
// fed byte by byte outside of chunk data. Extensions are checked and dropped.
type chunkDecoder struct {
	state  chunkState
	digits uint8
	left   int64 // of the current chunk's data
	line   int   // length of the current size line
	bloat  int
	raw    []byte // trailer lines as read
}

func (d *chunkDecoder) reset() { *d = chunkDecoder{raw: d.raw[:0]} }

// step consumes framing from b up to the next data or the end of the body.
func (d *chunkDecoder) step(b []byte) (used int, err error) {
	for used < len(b) && d.state != chunkData && d.state != chunkDone {
		if err := d.feed(b[used]); err != nil {
			return used, err
		}
		used++
	}
	return used, nil
}

func (d *chunkDecoder) feed(c byte) error {
	switch d.state {
	case chunkSize, chunkDigits:
		return d.feedSize(c)
	case chunkExtName, chunkExtNameMore, chunkExtValue, chunkExtToken, chunkExtQuoted, chunkExtEscape, chunkExtEnd:
		return d.feedExtension(c)
	case chunkSizeLF:
		return d.sizeDone(c)
	case chunkDataCR:
		return d.want(c, '\r', chunkDataLF)
	case chunkDataLF:
		return d.want(c, '\n', chunkSize)
	case chunkTrailer:
		if c == '\r' {
			d.state = chunkLastLF
			return nil
		}
		d.state = chunkTrailerMore
		return d.feedTrailer(c)
	case chunkTrailerMore:
		return d.feedTrailer(c)
	default: // chunkLastLF
		return d.want(c, '\n', chunkDone)
	}
}

func (d *chunkDecoder) want(c, wanted byte, next chunkState) error {
	if c != wanted {
		return errChunk
	}
	d.state = next
	return nil
}

func (d *chunkDecoder) feedSize(c byte) error {
	d.line++
	if charClass[c]&classHex != 0 {
		if d.digits++; d.digits > 16 || d.left >= maxChunkSize>>4 {
			return errChunk
		}
		digit := c - '0'
		if c > '9' {
			digit = c | 0x20 - 'a' + 10
		}
		d.left, d.state = d.left<<4|int64(digit), chunkDigits
		return nil
	}
	if d.state == chunkSize {
		return errChunk
	}
	return d.sizeEnd(c)
}

// sizeEnd takes what may follow a size or a complete extension.
func (d *chunkDecoder) sizeEnd(c byte) error {
	switch c {
	case ';':
		d.state = chunkExtName
	case '\r':
		d.state = chunkSizeLF
	default:
		return errChunk
	}
	return nil
}

func (d *chunkDecoder) feedExtension(c byte) error {
	if d.line++; d.line > maxChunkLine {
		return errChunkBloat
	}
	token := charClass[c]&classToken != 0
	switch d.state {
	case chunkExtName:
		d.state = chunkExtNameMore
		if !token {
			return errChunk
		}
	case chunkExtNameMore:
		if c == '=' {
			d.state = chunkExtValue
		} else if !token {
			return d.sizeEnd(c)
		}
	case chunkExtValue:
		d.state = chunkExtToken
		if c == '"' {
			d.state = chunkExtQuoted
		} else if !token {
			return errChunk
		}
	case chunkExtToken:
		if !token {
			return d.sizeEnd(c)
		}
	case chunkExtQuoted:
		return d.feedQuoted(c)
	case chunkExtEscape:
		d.state = chunkExtQuoted
		if charClass[c]&classValue == 0 {
			return errChunk
		}
	default: // chunkExtEnd
		return d.sizeEnd(c)
	}
	return nil
}

func (d *chunkDecoder) feedQuoted(c byte) error {
	switch {
	case c == '"':
		d.state = chunkExtEnd
	case c == '\\':
		d.state = chunkExtEscape
	case charClass[c]&classValue == 0:
		return errChunk
	}
	return nil
}

// sizeDone weighs the framing against the data, so that a body cannot consist
// of extensions. 16 bytes a chunk are free.
func (d *chunkDecoder) sizeDone(c byte) error {
	if c != '\n' {
		return errChunk
	}
	d.bloat = max(d.bloat+d.line-16-int(min(d.left, maxChunkBloat))*2, 0)
	if d.bloat > maxChunkBloat {
		return errChunkBloat
	}
	d.state, d.digits, d.line = chunkData, 0, 0
	if d.left == 0 {
		d.state = chunkTrailer
	}
	return nil
}

func (d *chunkDecoder) feedTrailer(c byte) error {
	if len(d.raw) == maxTrailer {
		return errTrailerSize
	}
	d.raw = append(d.raw, c)
	if c != '\n' {
		return nil
	}
	s := fieldScanner{b: d.raw}
	for fields := 0; ; fields++ {
		switch _, _, v := s.next(); {
		case v == malformed:
			return errTrailer
		case fields == 128:
			return errTrailerSize
		case v == ended:
			d.state = chunkDone
			return nil
		case v == incomplete:
			return nil
		}
	}
}

// trailer adds the allowed trailer fields to h, as copies.
func (d *chunkDecoder) trailer(h *exchange.Header) {
	s := fieldScanner{b: d.raw}
	for len(d.raw) > 0 {
		name, value, v := s.next()
		if v != found {
			return
		}
		if trailerAllowed(name) {
			h.Add(strings.Clone(name), strings.Clone(value))
		}
	}
}

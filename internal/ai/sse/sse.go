// Package sse reads and writes server-sent events (WHATWG HTML, section 9.2)
// incrementally: any split of the input gives the same events, in linear time
// and bounded memory. It imports the standard library only.
package sse

import (
	"bytes"
	"errors"
	"fmt"
)

// DefaultLimit is the longest event, in bytes, that a Decoder takes unless
// told otherwise: 16 MiB.
const DefaultLimit = 16 << 20

// ErrTooLong is returned for an event longer than the limit.
var ErrTooLong = errors.New("server-sent event is too long")

// Event is one dispatched event. Its slices are valid until the next call of
// the Decoder that made it.
type Event struct {
	// Name is the event field; empty for the default, "message".
	Name []byte
	// Data is the data fields, joined by a line feed.
	Data []byte
}

// Decoder splits a stream into events. The zero value is ready.
type Decoder struct {
	// Limit bounds the size of one event; zero is DefaultLimit.
	Limit int

	line    []byte // an unfinished line
	name    []byte
	data    []byte
	hasData bool
	afterCR bool // the last line ended in CR: a LF that follows belongs to it
	begun   bool // the byte order mark, if there was one, has been passed
}

// Write feeds p and calls emit for every event that p completes. It stops at
// the first error, which is emit's or wraps ErrTooLong.
func (d *Decoder) Write(p []byte, emit func(Event) error) error {
	for len(p) > 0 {
		if d.afterCR {
			d.afterCR = false
			if p[0] == '\n' {
				p = p[1:]
				continue
			}
		}
		i := bytes.IndexAny(p, "\r\n")
		if i < 0 {
			return d.keep(p)
		}
		line := p[:i]
		if len(d.line) > 0 {
			if err := d.keep(line); err != nil {
				return err
			}
			line = d.line
		}
		d.afterCR = p[i] == '\r'
		p = p[i+1:]
		err := d.endLine(line, emit)
		d.line = d.line[:0]
		if err != nil {
			return err
		}
	}
	return nil
}

// Pending says whether bytes of an event that has not been completed are
// held. At the end of a stream they are to be dropped: the event broke off.
func (d *Decoder) Pending() bool { return len(d.line) > 0 || d.hasData }

func (d *Decoder) keep(p []byte) error {
	if err := d.fits(len(d.line) + len(p)); err != nil {
		return err
	}
	d.line = append(d.line, p...)
	return nil
}

func (d *Decoder) fits(n int) error {
	limit := d.Limit
	if limit == 0 {
		limit = DefaultLimit
	}
	if n+len(d.data) > limit {
		return fmt.Errorf("%w: more than %d bytes", ErrTooLong, limit)
	}
	return nil
}

func (d *Decoder) endLine(line []byte, emit func(Event) error) error {
	if !d.begun {
		d.begun = true
		line = bytes.TrimPrefix(line, []byte("\xef\xbb\xbf"))
	}
	if len(line) == 0 {
		return d.dispatch(emit)
	}
	field, value, _ := bytes.Cut(line, []byte(":"))
	value = bytes.TrimPrefix(value, []byte(" "))
	switch string(field) {
	case "event":
		d.name = append(d.name[:0], value...)
	case "data":
		if err := d.fits(len(value) + 1); err != nil {
			return err
		}
		if d.hasData {
			d.data = append(d.data, '\n')
		}
		d.data = append(d.data, value...)
		d.hasData = true
	}
	return nil
}

func (d *Decoder) dispatch(emit func(Event) error) error {
	if !d.hasData {
		d.name = d.name[:0]
		return nil
	}
	err := emit(Event{Name: d.name, Data: d.data})
	d.name, d.data, d.hasData = d.name[:0], d.data[:0], false
	return err
}

// Append appends an event to dst. A line break in data, of any kind, starts a
// new data line, so content can never become a field of its own; name must not
// hold one.
func Append(dst []byte, name string, data []byte) []byte {
	if name != "" {
		dst = append(dst, "event: "...)
		dst = append(dst, name...)
		dst = append(dst, '\n')
	}
	for {
		i := bytes.IndexAny(data, "\r\n")
		dst = append(dst, "data: "...)
		if i < 0 {
			dst = append(dst, data...)
			return append(dst, "\n\n"...)
		}
		dst = append(dst, data[:i]...)
		dst = append(dst, '\n')
		if data[i] == '\r' && i+1 < len(data) && data[i+1] == '\n' {
			i++
		}
		data = data[i+1:]
	}
}

// AppendComment appends a comment, which clients ignore: it keeps a connection
// alive. text must not hold a line break.
func AppendComment(dst []byte, text string) []byte {
	dst = append(dst, ": "...)
	dst = append(dst, text...)
	return append(dst, "\n\n"...)
}

package router

import (
	"strings"

	"github.com/citoroute/citoroute/internal/proxy/exchange"
)

// fitsHeader compares a field's whole value: the values of repeated fields are
// joined with a comma (RFC 9110 section 5.3), so that a second line can not
// hide behind the first. The name Host stands for the authority.
func (m *valueMatch) fitsHeader(req *exchange.Request) bool {
	var first string
	found, repeated := false, false
	for i := range req.Header.Len() {
		f := req.Header.At(i)
		if !exchange.EqualFold(f.Name, m.name) {
			continue
		}
		if found {
			repeated = true
			break
		}
		first, found = f.Value, true
	}
	if !found && exchange.EqualFold(m.name, "host") {
		first, found = req.Authority, true
	}
	if !found {
		return false
	}
	if repeated {
		first = joined(&req.Header, m.name)
	}
	return m.fits(first)
}

// joined allocates: repeated fields that a rule compares are rare.
func joined(h *exchange.Header, name string) string {
	var b strings.Builder
	n := 0
	for v := range h.Values(name) {
		n++
		if n > 1 {
			b.WriteByte(',')
		}
		b.WriteString(v)
	}
	return b.String()
}

// fitsQuery compares the first parameter of that name, as Gateway API says of
// repeated ones, decoded as a form (+ is a space). A pair that can not be
// decoded is compared as it is, never skipped.
func (m *valueMatch) fitsQuery(query string) bool {
	for rest, more := query, query != ""; more; {
		var pair string
		pair, rest, more = strings.Cut(rest, "&")
		name, value, _ := strings.Cut(pair, "=")
		if unescaped(name) == m.name {
			return m.fits(unescaped(value))
		}
	}
	return false
}

func (m *valueMatch) fits(value string) bool {
	if m.regex != nil {
		return m.regex.MatchString(value)
	}
	return value == m.value
}

// unescaped decodes a part of a query; it allocates only where there is
// something to decode.
func unescaped(s string) string {
	if strings.IndexByte(s, '%') < 0 && strings.IndexByte(s, '+') < 0 {
		return s
	}
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '+':
			out = append(out, ' ')
		case '%':
			hi, lo := hexDigit(s, i+1), hexDigit(s, i+2)
			if hi < 0 || lo < 0 {
				return s
			}
			out = append(out, byte(hi<<4|lo))
			i += 2
		default:
			out = append(out, s[i])
		}
	}
	return string(out)
}

package transcript

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Bounds of the patterns of a user.
const (
	// MaxPatterns is how many there may be.
	MaxPatterns = 16
	// MaxPattern is the length of one, in bytes.
	MaxPattern = 256
)

// Pattern is something that a user wants to have taken out, too.
type Pattern struct {
	// Name stands in the text instead.
	Name string
	// Expr is a regular expression (RE2).
	Expr string
}

// CheckPattern says what is wrong with the expression of a Pattern.
func CheckPattern(expr string) error {
	if len(expr) > MaxPattern {
		return fmt.Errorf("is longer than %d bytes", MaxPattern)
	}
	re, err := regexp.Compile(expr)
	switch {
	case err != nil:
		return fmt.Errorf("is not a regular expression (RE2): %w", err)
	case re.MatchString(""):
		return errors.New("matches the empty text: write + instead of *")
	}
	return nil
}

// slack is how much of a text is looked at beyond what is put down of it, in
// bytes: a secret that is cut in two must be known by its whole length.
const slack = 4 << 10

// redactor takes secrets out of texts.
type redactor struct {
	max  int // bytes that are put down of one text
	find []finder
}

// finder finds one kind of secret in a text.
type finder struct {
	name string
	find func(text string) []span
}

// span is a part of a text; it begins at start and ends before end.
type span struct{ start, end int }

// secret is a span with the name of what is in it.
type secret struct {
	span
	name string
}

func newRedactor(maxText int, patterns []Pattern) (*redactor, error) {
	r := &redactor{max: maxText, find: finders()}
	if len(patterns) > MaxPatterns {
		return nil, fmt.Errorf("there are %d patterns, more than %d", len(patterns), MaxPatterns)
	}
	for _, p := range patterns {
		if err := CheckPattern(p.Expr); err != nil {
			return nil, fmt.Errorf("pattern %q: %q %w", p.Name, p.Expr, err)
		}
		r.find = append(r.find, finder{p.Name, matches(regexp.MustCompile(p.Expr))})
	}
	return r, nil
}

// text returns s without secrets and no longer than the bound, but for what
// stands for the rest. size is how long the whole text is that s begins; known
// are secrets that need no finding.
func (r *redactor) text(s string, size int, known []string) string {
	window := s[:min(len(s), r.max+slack)]
	end := min(len(window), r.max)
	if size > len(s) { // what is at its end may be half a secret
		end = max(min(end, len(s)-slack), 0)
	}
	var b strings.Builder
	at := 0
	for _, f := range r.secrets(window, known) {
		if f.start >= end {
			break
		}
		b.WriteString(window[at:f.start])
		b.WriteString("[redacted: " + f.name + "]")
		at = f.end
	}
	if at < end {
		b.WriteString(window[at:end])
		at = end
	}
	out := strings.ToValidUTF8(b.String(), "\uFFFD")
	if size > at {
		out += "… [" + strconv.Itoa(size-at) + " bytes more]"
	}
	return out
}

// secrets are those in a text, in order and apart from each other.
func (r *redactor) secrets(text string, known []string) (out []secret) {
	for _, f := range r.find {
		for _, s := range f.find(text) {
			out = append(out, secret{s, f.name})
		}
	}
	for _, k := range known {
		for at := 0; len(k) >= minKnown; {
			i := strings.Index(text[at:], k)
			if i < 0 {
				break
			}
			out = append(out, secret{span{at + i, at + i + len(k)}, "credential"})
			at += i + len(k)
		}
	}
	slices.SortStableFunc(out, func(a, b secret) int { return cmp.Compare(a.start, b.start) })
	return apart(out)
}

// minKnown is how long a known secret is at least: less is found anywhere.
const minKnown = 6

// apart joins secrets that overlap.
func apart(in []secret) []secret {
	out := in[:0]
	for _, s := range in {
		if n := len(out); n > 0 && s.start < out[n-1].end {
			out[n-1].end = max(out[n-1].end, s.end)
			continue
		}
		out = append(out, s)
	}
	return out
}

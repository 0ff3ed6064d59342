package standalone

import (
	"fmt"
	"io"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Printer writes statuses and problems for people.
type Printer struct {
	Out io.Writer
	// Color marks good and bad by colour: for terminals only.
	Color bool
}

const (
	green  = "32"
	red    = "31"
	yellow = "33"
	faint  = "2"
)

func (p Printer) paint(color, text string) string {
	if !p.Color {
		return text
	}
	return "\x1b[" + color + "m" + text + "\x1b[0m"
}

// Status writes one object: a line for each of its parts, and one more for
// each condition that is not as it should be.
func (p Printer) Status(s Status) {
	head := s.Key.String()
	if len(s.Addresses) > 0 {
		head += "  " + strings.Join(s.Addresses, ", ")
	}
	if s.Where != "" {
		head += "  " + p.paint(faint, s.Where)
	}
	p.line(head)
	for _, section := range s.Sections {
		p.section(section)
	}
	for _, why := range s.Unserved {
		p.line("  " + p.paint(yellow, "not served") + ": " + why)
	}
}

func (p Printer) section(s Section) {
	p.line("  " + strings.TrimSpace(p.summary(s)))
	for _, c := range s.Conditions {
		if !Good(c) {
			p.Note("      %s: %s", c.Reason, c.Message)
		}
	}
}

// summary is a section on one line.
func (p Printer) summary(s Section) string {
	var words []string
	for _, c := range s.Conditions {
		words = append(words, p.condition(c))
	}
	text := strings.Join(words, "  ")
	if s.Name != "" {
		text = s.Name + ": " + text
	}
	if s.Note != "" {
		text += "  (" + s.Note + ")"
	}
	return text
}

func (p Printer) condition(c metav1.Condition) string {
	switch {
	case Good(c) && c.Status == metav1.ConditionTrue:
		return p.paint(green, c.Type)
	case Good(c):
		return p.paint(green, "not "+c.Type)
	case c.Status == metav1.ConditionTrue:
		return p.paint(red, c.Type+"!")
	}
	return p.paint(red, "not "+c.Type+"!")
}

// Problem writes one problem.
func (p Printer) Problem(problem Problem) {
	if problem.Ignored {
		p.line(p.paint(yellow, "note") + "  " + problem.String())
		return
	}
	p.line(p.paint(red, "error") + "  " + problem.String())
}

// Unserved writes a warning of an object that nobody serves.
func (p Printer) Unserved(s Status) {
	for _, why := range s.Unserved {
		p.line(p.paint(yellow, "warning") + "  " + Problem{File: s.Where, Object: s.Key.String(), Message: "not served: " + why}.String())
	}
}

// Expiring writes a warning of a certificate.
func (p Printer) Expiring(e Expiring) { p.line(p.paint(yellow, "warning") + "  " + e.String()) }

// Note writes a line of text.
func (p Printer) Note(format string, args ...any) { p.line(fmt.Sprintf(format, args...)) }

func (p Printer) line(text string) {
	_, _ = fmt.Fprintln(p.Out, text) // there is nobody else to tell
}

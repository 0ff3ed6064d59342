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
		var words, troubles []string
		for _, c := range section.Conditions {
			words = append(words, p.condition(c))
			if !Good(c) {
				troubles = append(troubles, fmt.Sprintf("      %s: %s", c.Reason, c.Message))
			}
		}
		text := strings.Join(words, "  ")
		if section.Name != "" {
			text = section.Name + ": " + text
		}
		if section.Note != "" {
			text += "  (" + section.Note + ")"
		}
		p.line("  " + strings.TrimSpace(text))
		for _, t := range troubles {
			p.line(t)
		}
	}
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

// Note writes a line of text.
func (p Printer) Note(format string, args ...any) { p.line(fmt.Sprintf(format, args...)) }

func (p Printer) line(text string) {
	_, _ = fmt.Fprintln(p.Out, text) // there is nobody else to tell
}

package standalone

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Problem is something in a file that is not used as it stands.
type Problem struct {
	// File and Line say where the document begins; Line counts from 1 and is 0
	// where the whole file is concerned.
	File string
	Line int
	// Object is Kind/namespace/name, as far as it is known.
	Object string
	// Field is a path such as spec.rules[0].matches; empty: the whole object.
	Field   string
	Message string
	// Ignored says that the document was passed over, which is no fault.
	Ignored bool
}

// String returns "file:line: object: field: message", without what is empty.
func (p Problem) String() string {
	place := p.File
	if p.Line > 0 {
		place = fmt.Sprintf("%s:%d", p.File, p.Line)
	}
	parts := slices.DeleteFunc([]string{place, p.Object, p.Field, p.Message}, func(s string) bool { return s == "" })
	return strings.Join(parts, ": ")
}

func sortProblems(problems []Problem) {
	slices.SortStableFunc(problems, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line))
	})
}

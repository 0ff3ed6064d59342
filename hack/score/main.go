// Command score measures the code against the project's limits, prints one
// line per limit with the worst places, and fails when a limit is missed.
//
//	go run ./hack/score        what is missed, with the places
//	go run ./hack/score -v     the worst places of every row
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"strings"
)

// A row is one measurement.
type row struct {
	number   string // as in CONTRIBUTING.md
	what     string
	measured string
	target   string
	met      bool
	places   []string // the worst first
}

func main() {
	verbose := flag.Bool("v", false, "print the worst places of every row")
	most := flag.Int("n", 10, "how many places to print")
	flag.Parse()

	rows, err := score(context.Background(), ".")
	if err != nil {
		fmt.Fprintln(os.Stderr, "score:", err)
		os.Exit(2)
	}
	missed := 0
	for _, r := range rows {
		if !r.met {
			missed++
		}
		r.print(*verbose, *most)
	}
	if missed > 0 {
		fmt.Printf("%d of %d missed\n", missed, len(rows))
		os.Exit(1)
	}
	fmt.Printf("all %d met\n", len(rows))
}

// print prints a row and, if it is missed or verbose is set, its worst places.
func (r row) print(verbose bool, most int) {
	mark := "ok    "
	if !r.met {
		mark = "MISSED"
	}
	fmt.Printf("%s %3s  %-34s %-28s target %s\n", mark, r.number, r.what, r.measured, r.target)
	if !verbose && r.met {
		return
	}
	for _, place := range r.places[:min(len(r.places), most)] {
		fmt.Println(strings.Repeat(" ", 12), place)
	}
}

// score measures the module at root.
func score(ctx context.Context, root string) ([]row, error) {
	t, err := parse(root)
	if err != nil {
		return nil, err
	}
	rows := t.sizes()
	imports, err := foreignImports(ctx, root)
	if err != nil {
		return nil, err
	}
	golden, err := goldenCases(ctx, root, t)
	if err != nil {
		return nil, err
	}
	rows = append(rows, imports, t.impurities(), t.sleeps())
	rows = append(rows, golden...)
	rows = append(rows, t.testSizes()...)
	rows = append(rows, t.documentation()...)
	return append(rows, t.junk(), t.nolints(), t.inits(), t.globals()), nil
}

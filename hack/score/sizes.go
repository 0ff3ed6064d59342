package main

import (
	"cmp"
	"fmt"
	"go/ast"
	"slices"
	"strconv"
)

// Limits of sizes, in lines and parameters.
const (
	fileMax, fileP90, fileMedian = 600, 350, 150
	funcMax, funcP90, funcMedian = 80, 35, 10
	paramMax                     = 5 // besides a context
	testFileMax, testFuncMax     = 800, 120
)

// A size is one measured thing.
type size struct {
	n     int
	where string
}

func itoa(n int) string { return strconv.Itoa(n) }

// sizes measures files, functions and parameter lists of everything but tests.
func (t *tree) sizes() []row {
	var files, funcs, params []size
	for _, f := range t.files {
		if !f.test {
			files = append(files, size{f.lines, f.path})
		}
	}
	functions(t.code(), func(_ file, fn *ast.FuncDecl) {
		name := t.where(fn) + " " + fn.Name.Name
		funcs = append(funcs, size{t.length(fn), name})
		params = append(params, size{parameters(fn), name})
	})
	return []row{
		spread("1", "file lines", files, [3]int{fileMedian, fileP90, fileMax}),
		spread("2", "function lines", funcs, [3]int{funcMedian, funcP90, funcMax}),
		greatest("3", "parameters besides ctx", params, paramMax),
	}
}

// testSizes measures test files and test functions.
func (t *tree) testSizes() []row {
	var files, funcs []size
	for _, f := range t.files {
		if f.test {
			files = append(files, size{f.lines, f.path})
		}
	}
	functions(t.tests(), func(_ file, fn *ast.FuncDecl) {
		funcs = append(funcs, size{t.length(fn), t.where(fn) + " " + fn.Name.Name})
	})
	return []row{
		greatest("7", "test file lines", files, testFileMax),
		greatest("7", "test function lines", funcs, testFuncMax),
	}
}

func (t *tree) code() []file {
	return slices.DeleteFunc(slices.Clone(t.files), func(f file) bool { return f.test })
}

func (t *tree) tests() []file {
	return slices.DeleteFunc(slices.Clone(t.files), func(f file) bool { return !f.test })
}

// parameters counts those of fn, a leading context left out.
func parameters(fn *ast.FuncDecl) int {
	n := 0
	for _, field := range fn.Type.Params.List {
		if selector, ok := field.Type.(*ast.SelectorExpr); ok && selector.Sel.Name == "Context" {
			continue
		}
		n += max(len(field.Names), 1)
	}
	return n
}

// spread is a row with limits for the median, the 90th percentile and the maximum.
func spread(number, what string, sizes []size, limits [3]int) row {
	descend(sizes)
	if len(sizes) == 0 {
		return row{number: number, what: what, measured: "nothing found"}
	}
	last := len(sizes) - 1
	median, p90, most := sizes[last-last*50/100].n, sizes[last-last*90/100].n, sizes[0].n
	return row{
		number: number, what: what + " (median/p90/max)",
		measured: fmt.Sprintf("%d/%d/%d of %d", median, p90, most, len(sizes)),
		target:   fmt.Sprintf("%d/%d/%d", limits[0], limits[1], limits[2]),
		met:      median <= limits[0] && p90 <= limits[1] && most <= limits[2],
		places:   list(sizes, min(limits[1], sizes[0].n-1)),
	}
}

// greatest is a row with a limit for the maximum.
func greatest(number, what string, sizes []size, limit int) row {
	descend(sizes)
	if len(sizes) == 0 {
		return row{number: number, what: what, measured: "nothing found"}
	}
	return row{
		number: number, what: what,
		measured: fmt.Sprintf("max %d of %d", sizes[0].n, len(sizes)),
		target:   fmt.Sprintf("max %d", limit),
		met:      sizes[0].n <= limit,
		places:   list(sizes, min(limit, sizes[0].n-1)),
	}
}

func descend(sizes []size) {
	slices.SortStableFunc(sizes, func(a, b size) int { return cmp.Compare(b.n, a.n) })
}

// list names the sizes above a number.
func list(sizes []size, above int) []string {
	var places []string
	for _, s := range sizes {
		if s.n > above {
			places = append(places, fmt.Sprintf("%5d %s", s.n, s.where))
		}
	}
	return places
}

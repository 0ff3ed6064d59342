package main

import (
	"fmt"
	"go/ast"
	"go/token"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// documentation measures doc comments of exported names and of packages.
func (t *tree) documentation() []row {
	exported, documented := 0, 0
	var bare []string
	count := func(name *ast.Ident, docs ...*ast.CommentGroup) {
		if !name.IsExported() {
			return
		}
		exported++
		if slices.ContainsFunc(docs, func(doc *ast.CommentGroup) bool { return doc != nil }) {
			documented++
		} else {
			bare = append(bare, t.where(name)+" "+name.Name)
		}
	}
	packages := map[string]bool{}
	for _, f := range t.code() {
		dir := filepath.Dir(f.path)
		packages[dir] = packages[dir] || f.ast.Doc != nil
		for _, d := range f.ast.Decls {
			declared(d, count)
		}
	}
	var undocumented []string
	for dir, ok := range packages {
		if !ok {
			undocumented = append(undocumented, dir)
		}
	}
	slices.Sort(undocumented)
	percent := 100 * documented / max(exported, 1)
	return []row{
		{
			number: "9", what: "documented exports", measured: fmt.Sprintf("%d%% of %d", percent, exported),
			target: "95%", met: percent >= 95, places: bare,
		},
		none("9", "packages without a comment", undocumented),
	}
}

// declared calls count for every name that d declares, with its comments. A
// method counts if its receiver's type is exported.
func declared(d ast.Decl, count func(*ast.Ident, ...*ast.CommentGroup)) {
	switch d := d.(type) {
	case *ast.FuncDecl:
		if d.Recv == nil || ast.IsExported(receiver(d)) {
			count(d.Name, d.Doc)
		}
	case *ast.GenDecl:
		for _, spec := range d.Specs {
			switch spec := spec.(type) {
			case *ast.TypeSpec:
				count(spec.Name, spec.Doc, d.Doc)
			case *ast.ValueSpec:
				for _, name := range spec.Names {
					count(name, spec.Doc, spec.Comment, d.Doc)
				}
			}
		}
	}
}

// receiver is the name of the type whose method fn is.
func receiver(fn *ast.FuncDecl) string {
	expr := fn.Recv.List[0].Type
	for {
		switch e := expr.(type) {
		case *ast.StarExpr:
			expr = e.X
		case *ast.IndexExpr:
			expr = e.X
		case *ast.IndexListExpr:
			expr = e.X
		case *ast.Ident:
			return e.Name
		default:
			return ""
		}
	}
}

// junk finds packages and files whose name says nothing.
func (t *tree) junk() row {
	says := regexp.MustCompile(`(^|/)(utils?|helpers?|common|misc|shared|base|lib)(_test)?(\.go)?(/|$)`)
	var found []string
	for _, f := range t.files {
		if says.MatchString(f.path) {
			found = append(found, f.path)
		}
	}
	return none("10", "files named util, helper, common", found)
}

// nolints finds suppressed findings of the linter.
func (t *tree) nolints() row {
	lines := 0
	var all []string
	explained := true
	for _, f := range t.files {
		lines += f.lines
		for _, comment := range nolintsOf(f) {
			all = append(all, t.where(comment)+" "+comment.Text)
			explained = explained && strings.Contains(strings.TrimPrefix(comment.Text, nolint), " // ")
		}
	}
	rate := float64(len(all)) * 10000 / float64(max(lines, 1))
	return row{
		number: "11", what: "nolint per 10,000 lines", measured: fmt.Sprintf("%.1f (%d in %d)", rate, len(all), lines),
		target: "max 3, all explained", met: rate <= 3 && explained, places: all,
	}
}

const nolint = "//nolint"

func nolintsOf(f file) []*ast.Comment {
	var out []*ast.Comment
	for _, group := range f.ast.Comments {
		for _, comment := range group.List {
			if strings.HasPrefix(comment.Text, nolint) {
				out = append(out, comment)
			}
		}
	}
	return out
}

// inits finds init functions.
func (t *tree) inits() row {
	var found []string
	functions(t.files, func(_ file, fn *ast.FuncDecl) {
		if fn.Recv == nil && fn.Name.Name == "init" {
			found = append(found, t.where(fn))
		}
	})
	return none("12", "init functions", found)
}

// globals finds package variables that change: those that a function of the
// package assigns to or takes the address of, and those made to change, such
// as a mutex.
func (t *tree) globals() row {
	packages := map[string][]file{}
	for _, f := range t.code() {
		dir := filepath.Dir(f.path)
		packages[dir] = append(packages[dir], f)
	}
	var found []string
	for _, files := range packages {
		found = append(found, t.globalsOf(files)...)
	}
	slices.Sort(found)
	return none("12", "mutable package variables", found)
}

// globalsOf finds those of one package.
func (t *tree) globalsOf(files []file) []string {
	var found []string
	variables := map[string]*ast.Ident{}
	for _, f := range files {
		found = append(found, t.changeable(f, variables)...)
	}
	functions(files, func(_ file, fn *ast.FuncDecl) {
		for name, at := range changed(fn) {
			if declared, ok := variables[name]; ok {
				found = append(found, t.where(declared)+" "+name+" is changed at "+t.where(at))
			}
		}
	})
	return found
}

// changeable collects the package variables of f and names those of a type
// that is made to change.
func (t *tree) changeable(f file, variables map[string]*ast.Ident) []string {
	var found []string
	for _, value := range packageVariables(f) {
		for _, name := range value.Names {
			variables[name.Name] = name
		}
		if kind := syncType(value.Type); kind != "" {
			found = append(found, t.where(value)+" is a "+kind)
		}
	}
	return found
}

func packageVariables(f file) []*ast.ValueSpec {
	var out []*ast.ValueSpec
	for _, d := range f.ast.Decls {
		general, ok := d.(*ast.GenDecl)
		if !ok || general.Tok != token.VAR {
			continue
		}
		for _, spec := range general.Specs {
			if value, ok := spec.(*ast.ValueSpec); ok {
				out = append(out, value)
			}
		}
	}
	return out
}

// syncType names a type of package sync or atomic; empty: it is of neither, or a
// Pool.
func syncType(expr ast.Expr) string {
	selector, ok := expr.(*ast.SelectorExpr)
	if !ok {
		return ""
	}
	x, ok := selector.X.(*ast.Ident)
	if ok && (x.Name == "sync" || x.Name == "atomic") && selector.Sel.Name != "Pool" {
		return x.Name + "." + selector.Sel.Name
	}
	return ""
}

// changed returns the names that fn assigns to or takes the address of, those
// that it declares itself left out.
func changed(fn *ast.FuncDecl) map[string]ast.Node {
	names, own := map[string]ast.Node{}, map[string]bool{}
	for _, list := range []*ast.FieldList{fn.Recv, fn.Type.Params, fn.Type.Results} {
		declareFields(list, own)
	}
	ast.Inspect(fn.Body, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.AssignStmt:
			for _, left := range n.Lhs {
				if n.Tok == token.DEFINE {
					own[variable(left)] = true
				} else {
					names[variable(left)] = n
				}
			}
		case *ast.IncDecStmt:
			names[variable(n.X)] = n
		case *ast.UnaryExpr:
			if n.Op == token.AND {
				names[variable(n.X)] = n
			}
		case *ast.RangeStmt:
			own[variable(n.Key)], own[variable(n.Value)] = true, true
		case *ast.ValueSpec:
			for _, name := range n.Names {
				own[name.Name] = true
			}
		case *ast.FuncLit:
			declareFields(n.Type.Params, own)
			declareFields(n.Type.Results, own)
		}
		return true
	})
	for name := range own {
		delete(names, name)
	}
	delete(names, "_")
	return names
}

func declareFields(list *ast.FieldList, own map[string]bool) {
	if list == nil {
		return
	}
	for _, field := range list.List {
		for _, name := range field.Names {
			own[name.Name] = true
		}
	}
}

// variable is the one at the root of x.f[i].
func variable(expr ast.Expr) string {
	for {
		switch e := expr.(type) {
		case *ast.SelectorExpr:
			expr = e.X
		case *ast.IndexExpr:
			expr = e.X
		case *ast.StarExpr:
			expr = e.X
		case *ast.ParenExpr:
			expr = e.X
		case *ast.Ident:
			return e.Name
		default:
			return ""
		}
	}
}

package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// A file is one Go file of the module, generated ones left out.
type file struct {
	path  string // relative to the module
	test  bool
	lines int
	ast   *ast.File
}

// tree is the module's source.
type tree struct {
	set   *token.FileSet
	files []file
}

// parse reads every Go file of the module at root. Modules of their own inside
// it and testdata are left out.
func parse(root string) (*tree, error) {
	t := &tree{set: token.NewFileSet()}
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			return skip(root, path, entry.Name())
		}
		if !strings.HasSuffix(path, ".go") {
			return nil
		}
		source, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		parsed, err := parser.ParseFile(t.set, path, source, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		if !ast.IsGenerated(parsed) {
			lines := strings.Count(string(source), "\n")
			t.files = append(t.files, file{path, strings.HasSuffix(path, "_test.go"), lines, parsed})
		}
		return nil
	})
	return t, err
}

// skip returns [fs.SkipDir] for a folder without sources of the module.
func skip(root, path, name string) error {
	if path == root {
		return nil
	}
	if name == "testdata" || name == "bin" || name == "node_modules" || strings.HasPrefix(name, ".") {
		return fs.SkipDir
	}
	if _, err := os.Stat(filepath.Join(path, "go.mod")); err == nil {
		return fs.SkipDir
	}
	return nil
}

// in returns the files below one of the folders, tests left out.
func (t *tree) in(folders ...string) []file {
	return slices.DeleteFunc(slices.Clone(t.files), func(f file) bool {
		below := func(folder string) bool { return strings.HasPrefix(f.path, folder+"/") }
		return f.test || !slices.ContainsFunc(folders, below)
	})
}

// where returns path:line.
func (t *tree) where(n ast.Node) string {
	p := t.set.Position(n.Pos())
	return p.Filename + ":" + itoa(p.Line)
}

// length is the number of lines of n.
func (t *tree) length(n ast.Node) int {
	return t.set.Position(n.End()).Line - t.set.Position(n.Pos()).Line + 1
}

// functions calls visit for every function and method with a body.
func functions(files []file, visit func(file, *ast.FuncDecl)) {
	for _, f := range files {
		for _, d := range f.ast.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Body != nil {
				visit(f, fn)
			}
		}
	}
}

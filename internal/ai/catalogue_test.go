package ai

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestCatalogue_EveryTestIsThere: the translation's tests are numbered T01 to
// T34, T40 to T48, T50 to T69 and T70 to T84. Each number has a test of its
// name, or a golden file.
func TestCatalogue_EveryTestIsThere(t *testing.T) {
	there := map[string]bool{}
	number := regexp.MustCompile(`\bfunc Test(T\d{2})_`)
	root := filepath.Join("..", "..")
	for _, folder := range []string{"internal", filepath.Join("test", "schema")} {
		err := filepath.WalkDir(filepath.Join(root, folder), func(path string, d fs.DirEntry, err error) error {
			switch {
			case err != nil || d.IsDir():
				return err
			case strings.HasSuffix(path, ".txtar"):
				name, _, _ := strings.Cut(filepath.Base(path), "_")
				there[name] = true
			case strings.HasSuffix(path, "_test.go"):
				source, err := os.ReadFile(path)
				if err != nil {
					return err
				}
				for _, m := range number.FindAllSubmatch(source, -1) {
					there[string(m[1])] = true
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, span := range [][2]int{{1, 34}, {40, 48}, {50, 84}} {
		for n := span[0]; n <= span[1]; n++ {
			if name := fmt.Sprintf("T%02d", n); !there[name] {
				t.Errorf("%s has no test and no golden file", name)
			}
		}
	}
}

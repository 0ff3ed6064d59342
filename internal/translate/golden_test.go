package translate_test

import (
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"

	"github.com/citoroute/citoroute/internal/engine"
)

var update = flag.Bool("update", false, "write the outcomes into the golden files")

// TestGolden runs every case of testdata through translation, engine and
// status: manifests in, the resources of every node and the status of every
// object out. Each case runs twice, all objects at once and one after another
// in reverse; both must give the same bytes. Cases of the mesh share mesh.yaml,
// all others base.yaml.
func TestGolden(t *testing.T) {
	decoder := newDecoder(t)
	base, mesh := decode(t, decoder, readFile(t, "testdata/base.yaml")), decode(t, decoder, readFile(t, "testdata/mesh.yaml"))
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no golden files: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			archive := txtar.Parse(readFile(t, file))
			own := decode(t, decoder, section(archive, "in.yaml"))
			options := engine.Options{ControllerName: controllerName, Mesh: strings.HasPrefix(filepath.Base(file), "Mesh")}
			changes := slices.Concat(base, own)
			if options.Mesh {
				changes = slices.Concat(mesh, own)
			}
			atOnce := engine.New(options)
			atOnce.Apply(changes...)
			oneByOne := engine.New(options)
			for _, c := range slices.Backward(changes) {
				oneByOne.Apply(c)
			}
			for _, view := range []struct {
				name   string
				render func(*testing.T, *engine.Engine, []engine.Change) []byte
			}{{"resources.yaml", renderResources}, {"status.yaml", renderStatus}} {
				got := view.render(t, atOnce, own)
				if diff := cmp.Diff(string(got), string(view.render(t, oneByOne, own))); diff != "" {
					t.Errorf("%s depends on the order of events (-at once +one by one):\n%s", view.name, diff)
				}
				if *update {
					setSection(archive, view.name, got)
				} else if diff := cmp.Diff(string(section(archive, view.name)), string(got)); diff != "" {
					t.Errorf("%s (-want +got):\n%s", view.name, diff)
				}
			}
			if *update {
				if err := os.WriteFile(file, txtar.Format(archive), 0o644); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

package translate_test

import (
	"bytes"
	"path/filepath"
	"slices"
	"testing"

	"golang.org/x/tools/txtar"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/citoroute/citoroute/internal/engine"
	"github.com/citoroute/citoroute/internal/ir"
	"github.com/citoroute/citoroute/internal/proxy/router"
	"github.com/citoroute/citoroute/internal/status"
	"github.com/citoroute/citoroute/internal/translate"
)

// FuzzTranslate feeds manifests, however wrong, through the whole pure pipe. It
// must not panic; every resource must survive its wire form and be accepted by a
// proxy, and everything that it refers to must be there.
func FuzzTranslate(f *testing.F) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		f.Add(section(txtar.Parse(readFile(f, file)), "in.yaml"))
	}
	decoder := newDecoder(f)
	base := decode(f, decoder, readFile(f, "testdata/base.yaml"))
	mesh := decode(f, decoder, readFile(f, "testdata/mesh.yaml"))
	f.Fuzz(func(t *testing.T, manifests []byte) {
		e := engine.New(engine.Options{ControllerName: controllerName, Mesh: true})
		e.Apply(slices.Concat(base, mesh)...)
		var keys []translate.Key
		for document := range bytes.SplitSeq(manifests, []byte("\n---\n")) {
			if c, ok := decodeAny(decoder, document); ok {
				e.Apply(c)
				keys = append(keys, c.Key)
			}
		}
		for _, key := range keys {
			status.Compute(e.Object(key), e.Report(key), status.Facts{Serving: true}, metav1.Time{})
		}
		for _, node := range e.Nodes() {
			checkClosed(t, e.Snapshot(node))
		}
		for _, key := range keys {
			e.Apply(engine.Change{Key: key})
		}
		for _, c := range mesh {
			e.Apply(engine.Change{Key: c.Key})
		}
		if nodes := e.Nodes(); len(nodes) != 0 {
			t.Errorf("nodes without objects: %v", nodes)
		}
	})
}

func decodeAny(decoder runtime.Decoder, document []byte) (engine.Change, bool) {
	o, _, err := decoder.Decode(document, nil, nil)
	if err != nil {
		return engine.Change{}, false
	}
	object, ok := o.(translate.Object)
	if !ok {
		return engine.Change{}, false
	}
	key, ok := translate.KeyOf(object)
	return engine.Change{Key: key, Object: object}, ok
}

// checkClosed checks that a node's resources are valid by themselves and that
// each comes after what it refers to.
func checkClosed(t *testing.T, update ir.Update) {
	t.Helper()
	there := map[ir.Ref]bool{}
	for _, resource := range update.Upserts {
		for _, ref := range translate.References(resource) {
			if !there[ref] {
				t.Errorf("%v refers to %v, which does not come before it", ir.RefOf(resource), ref)
			}
		}
		there[ir.RefOf(resource)] = true
		if route, ok := resource.(*ir.Route); ok {
			if _, err := router.Compile(route, func(rule int) int { return rule }); err != nil {
				t.Errorf("a proxy would refuse %s: %v", route.Name, err)
			}
		}
		encoded, err := ir.Encode(resource)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := ir.Decode(resource.ResourceType(), encoded); err != nil {
			t.Fatal(err)
		}
	}
}

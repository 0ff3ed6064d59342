package standalone

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"reflect"
	"slices"

	corev1 "k8s.io/api/core/v1"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/citoroute/citoroute/internal/engine"
	"github.com/citoroute/citoroute/internal/translate"
)

// Names of what is there without a manifest.
const (
	className      = "citoroute"
	controllerName = "citoroute.io/gateway-controller"
)

// item is an object and where it was found.
type item struct {
	object translate.Object
	file   string
	line   int
}

// fileContent is one file as it was read last.
type fileContent struct {
	content  []byte
	items    []item
	problems []Problem
	// refused are the objects that were found in a form that cannot be used.
	refused map[translate.Key]bool
	// torn says that a part of the file could not be read at all, so that
	// nobody knows which objects are in it.
	torn bool
}

// world is all objects of all files.
type world struct {
	decoder *decoder
	files   map[string]*fileContent
	objects map[translate.Key]item
	// implicit are objects that no file holds but that a cluster would have.
	implicit map[translate.Key]translate.Object
}

func newWorld() (*world, error) {
	d, err := newDecoder()
	if err != nil {
		return nil, err
	}
	return emptyWorld(d), nil
}

func emptyWorld(d *decoder) *world {
	return &world{
		decoder: d, files: map[string]*fileContent{}, objects: map[translate.Key]item{}, implicit: map[translate.Key]translate.Object{},
	}
}

// load takes the files as they are now, and those that could not be read, and
// returns the objects that changed and everything that is wrong.
func (w *world) load(ctx context.Context, files map[string][]byte, unreadable []Problem) ([]engine.Change, []Problem) {
	w.files = w.readAll(ctx, files, unreadable)
	objects, problems := w.gather()
	w.keepLastGood(objects)
	changes := difference(w.objects, objects)
	w.objects = objects
	changes = append(changes, w.imply()...)
	sortProblems(problems)
	return changes, problems
}

// readAll decodes files. Those that did not change are not decoded again.
func (w *world) readAll(ctx context.Context, files map[string][]byte, unreadable []Problem) map[string]*fileContent {
	now := make(map[string]*fileContent, len(files))
	for _, p := range unreadable {
		now[p.File] = &fileContent{problems: []Problem{p}, torn: true}
	}
	for name, content := range files {
		if old := w.files[name]; old != nil && bytes.Equal(old.content, content) {
			now[name] = old
		} else {
			now[name] = w.read(ctx, name, content)
		}
	}
	return now
}

func (w *world) read(ctx context.Context, name string, content []byte) *fileContent {
	f := &fileContent{content: content, refused: map[translate.Key]bool{}}
	docs, problems := documents(name, content)
	f.problems, f.torn = problems, len(problems) > 0
	for _, doc := range docs {
		if obj, refused := w.decoder.decode(ctx, doc); refused != nil {
			f.refuse(refused)
		} else {
			f.items = append(f.items, item{obj, doc.file, doc.line})
		}
	}
	return f
}

func (f *fileContent) refuse(r *refusal) {
	f.problems = append(f.problems, r.problems...)
	if r.key.Name != "" {
		f.refused[r.key] = true
	}
}

// gather puts the objects of all files together. Of two with one name the
// first file's counts, in alphabetical order.
func (w *world) gather() (map[translate.Key]item, []Problem) {
	objects := map[translate.Key]item{}
	var problems []Problem
	for _, name := range slices.Sorted(maps.Keys(w.files)) {
		problems = append(problems, w.files[name].problems...)
		for _, it := range w.files[name].items {
			key, _ := translate.KeyOf(it.object)
			if first, twice := objects[key]; twice {
				problems = append(problems, doubled(key, first, it))
			} else {
				objects[key] = it
			}
		}
	}
	return objects, problems
}

func doubled(key translate.Key, first, second item) Problem {
	return Problem{
		File: second.file, Line: second.line, Object: key.String(), Field: "metadata.name",
		Message: fmt.Sprintf("this object is in %s:%d already, which counts; remove one", first.file, first.line),
	}
}

// keepLastGood adds the objects to now that were there and are not because
// they, or the file that holds them, cannot be read at present.
func (w *world) keepLastGood(now map[translate.Key]item) {
	for key, it := range w.objects {
		if _, there := now[key]; there {
			continue
		}
		if f := w.files[it.file]; f != nil && (f.torn || f.refused[key]) {
			now[key] = it
		}
	}
}

// difference returns the changes that lead from one set of objects to another,
// sorted by key.
func difference(from, to map[translate.Key]item) []engine.Change {
	var changes []engine.Change
	for key, it := range to {
		if old, ok := from[key]; !ok || !reflect.DeepEqual(old.object, it.object) {
			changes = append(changes, engine.Change{Key: key, Object: it.object})
		}
	}
	for key := range from {
		if _, ok := to[key]; !ok {
			changes = append(changes, engine.Change{Key: key})
		}
	}
	slices.SortFunc(changes, byKey)
	return changes
}

func byKey(a, b engine.Change) int { return a.Key.Compare(b.Key) }

// imply makes the objects that a cluster would have and no file holds.
func (w *world) imply() []engine.Change {
	want := w.implied()
	var changes []engine.Change
	for key := range w.implicit {
		if _, given := w.objects[key]; given {
			delete(w.implicit, key) // the change was to the object that is given
		} else if want[key] == nil {
			delete(w.implicit, key)
			changes = append(changes, engine.Change{Key: key})
		}
	}
	for key, obj := range want {
		if _, given := w.objects[key]; !given && w.implicit[key] == nil {
			w.implicit[key] = obj
			changes = append(changes, engine.Change{Key: key, Object: obj})
		}
	}
	slices.SortFunc(changes, byKey)
	return changes
}

// implied returns the GatewayClass and the namespaces that are used.
func (w *world) implied() map[translate.Key]translate.Object {
	out := map[translate.Key]translate.Object{{Kind: translate.KindGatewayClass, Name: className}: class()}
	for key := range w.objects {
		if key.Namespace != "" {
			out[translate.Key{Kind: translate.KindNamespace, Name: key.Namespace}] = namespace(key.Namespace)
		}
	}
	return out
}

func class() translate.Object {
	return &gatewayv1.GatewayClass{
		Name: className, Generation: 1,
		Spec: gatewayv1.GatewayClassSpec{ControllerName: controllerName},
	}
}

func namespace(name string) translate.Object {
	return &corev1.Namespace{Name: name, Labels: map[string]string{corev1.LabelMetadataName: name}}
}

// where says which file holds an object: "file:line", or "" for an implicit one.
func (w *world) where(key translate.Key) string {
	it, ok := w.objects[key]
	if !ok {
		return ""
	}
	return fmt.Sprintf("%s:%d", it.file, it.line)
}

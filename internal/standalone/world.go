package standalone

import (
	"bytes"
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"

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
// returns the objects that changed and everything that is wrong. Files that did
// not change are not decoded again.
func (w *world) load(ctx context.Context, files map[string][]byte, unreadable []Problem) ([]engine.Change, []Problem) {
	now := make(map[string]*fileContent, len(files))
	for _, p := range unreadable {
		now[p.File] = &fileContent{problems: []Problem{p}, torn: true}
	}
	for name, content := range files {
		if old := w.files[name]; old != nil && bytes.Equal(old.content, content) {
			now[name] = old
			continue
		}
		now[name] = w.read(ctx, name, content)
	}
	w.files = now
	objects, problems := w.gather()
	w.keepLastGood(objects)
	changes := difference(w.objects, objects)
	w.objects = objects
	changes = append(changes, w.imply()...)
	sortProblems(problems)
	return changes, problems
}

func (w *world) read(ctx context.Context, name string, content []byte) *fileContent {
	f := &fileContent{content: content, refused: map[translate.Key]bool{}}
	docs, problems := documents(name, content)
	f.problems, f.torn = problems, len(problems) > 0
	for _, doc := range docs {
		obj, refused := w.decoder.decode(ctx, doc)
		if refused == nil {
			f.items = append(f.items, item{obj, doc.file, doc.line})
			continue
		}
		f.problems = append(f.problems, refused.problems...)
		if refused.key.Name != "" {
			f.refused[refused.key] = true
		}
	}
	return f
}

// gather puts the objects of all files together. Of two with one name the
// first file's counts, in alphabetical order.
func (w *world) gather() (map[translate.Key]item, []Problem) {
	objects := map[translate.Key]item{}
	var problems []Problem
	names := make([]string, 0, len(w.files))
	for name := range w.files {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		problems = append(problems, w.files[name].problems...)
		for _, it := range w.files[name].items {
			key, _ := translate.KeyOf(it.object)
			if first, twice := objects[key]; twice {
				problems = append(problems, Problem{
					File: it.file, Line: it.line, Object: key.String(), Field: "metadata.name",
					Message: fmt.Sprintf("this object is in %s:%d already, which counts; remove one", first.file, first.line),
				})
				continue
			}
			objects[key] = it
		}
	}
	return objects, problems
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
	slices.SortFunc(changes, func(a, b engine.Change) int { return a.Key.Compare(b.Key) })
	return changes
}

// imply makes the objects that a cluster would have: the namespaces that are
// used, and the GatewayClass.
func (w *world) imply() []engine.Change {
	want := map[translate.Key]translate.Object{}
	class := translate.Key{Kind: translate.KindGatewayClass, Name: className}
	want[class] = &gatewayv1.GatewayClass{
		Name: className, Generation: 1,
		Spec: gatewayv1.GatewayClassSpec{ControllerName: controllerName},
	}
	for key := range w.objects {
		if key.Namespace != "" {
			want[translate.Key{Kind: translate.KindNamespace, Name: key.Namespace}] = &corev1.Namespace{
				Name: key.Namespace, Labels: map[string]string{corev1.LabelMetadataName: key.Namespace},
			}
		}
	}
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
	slices.SortFunc(changes, func(a, b engine.Change) int { return a.Key.Compare(b.Key) })
	return changes
}

// where says which file holds an object: "file:line", or "" for an implicit one.
func (w *world) where(key translate.Key) string {
	it, ok := w.objects[key]
	if !ok {
		return ""
	}
	return fmt.Sprintf("%s:%d", it.file, it.line)
}

// manifest says whether a file name is one of a manifest.
func manifest(name string) bool {
	for _, suffix := range []string{".yaml", ".yml", ".json"} {
		if strings.HasSuffix(name, suffix) {
			return true
		}
	}
	return false
}

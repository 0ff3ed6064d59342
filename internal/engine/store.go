package engine

import (
	"maps"
	"slices"

	"github.com/citoroute/citoroute/internal/translate"
)

// store holds the objects, by key and by bucket.
type store struct {
	objects map[translate.Key]translate.Object
	buckets map[translate.Bucket]*bucket
}

// bucket is a set of objects.
type bucket struct {
	objects map[translate.Key]translate.Object
	// sorted are the same by key, from when they are first asked for until they
	// change. The mesh's namespaces are listed for each of its Services.
	sorted []translate.Object
}

func newStore() store {
	return store{
		objects: map[translate.Key]translate.Object{},
		buckets: map[translate.Bucket]*bucket{},
	}
}

// set stores an object, or removes it if object is nil, and returns what was
// there before.
func (s *store) set(key translate.Key, object translate.Object) translate.Object {
	before := s.objects[key]
	if before != nil {
		s.remove(key, before)
	}
	if object != nil {
		s.add(key, object)
	}
	return before
}

func (s *store) add(key translate.Key, object translate.Object) {
	s.objects[key] = object
	for _, name := range translate.Buckets(object) {
		b := s.buckets[name]
		if b == nil {
			b = &bucket{objects: map[translate.Key]translate.Object{}}
			s.buckets[name] = b
		}
		b.objects[key], b.sorted = object, nil
	}
}

func (s *store) remove(key translate.Key, object translate.Object) {
	delete(s.objects, key)
	for _, name := range translate.Buckets(object) {
		b := s.buckets[name]
		if b == nil {
			continue // an object may name a bucket twice
		}
		delete(b.objects, key)
		b.sorted = nil
		if len(b.objects) == 0 {
			delete(s.buckets, name)
		}
	}
}

// list returns the objects in a bucket, sorted by key.
func (s *store) list(name translate.Bucket) []translate.Object {
	b := s.buckets[name]
	if b == nil {
		return nil
	}
	if b.sorted == nil {
		b.sorted = make([]translate.Object, 0, len(b.objects))
		for _, key := range slices.SortedFunc(maps.Keys(b.objects), translate.Key.Compare) {
			b.sorted = append(b.sorted, b.objects[key])
		}
	}
	return b.sorted
}

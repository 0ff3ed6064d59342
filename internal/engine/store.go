package engine

import (
	"maps"
	"slices"

	"github.com/citoroute/citoroute/internal/translate"
)

// store holds the objects, by key and by bucket.
type store struct {
	objects map[translate.Key]translate.Object
	buckets map[translate.Bucket]map[translate.Key]translate.Object
}

func newStore() store {
	return store{
		objects: map[translate.Key]translate.Object{},
		buckets: map[translate.Bucket]map[translate.Key]translate.Object{},
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
	for _, b := range translate.Buckets(object) {
		if s.buckets[b] == nil {
			s.buckets[b] = map[translate.Key]translate.Object{}
		}
		s.buckets[b][key] = object
	}
}

func (s *store) remove(key translate.Key, object translate.Object) {
	delete(s.objects, key)
	for _, b := range translate.Buckets(object) {
		delete(s.buckets[b], key)
		if len(s.buckets[b]) == 0 {
			delete(s.buckets, b)
		}
	}
}

// list returns the objects in a bucket, sorted by key.
func (s *store) list(b translate.Bucket) []translate.Object {
	out := make([]translate.Object, 0, len(s.buckets[b]))
	for _, key := range slices.SortedFunc(maps.Keys(s.buckets[b]), translate.Key.Compare) {
		out = append(out, s.buckets[b][key])
	}
	return out
}

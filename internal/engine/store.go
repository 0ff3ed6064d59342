package engine

import (
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
		for _, b := range translate.Buckets(before) {
			delete(s.buckets[b], key)
			if len(s.buckets[b]) == 0 {
				delete(s.buckets, b)
			}
		}
	}
	if object == nil {
		delete(s.objects, key)
		return before
	}
	s.objects[key] = object
	for _, b := range translate.Buckets(object) {
		if s.buckets[b] == nil {
			s.buckets[b] = map[translate.Key]translate.Object{}
		}
		s.buckets[b][key] = object
	}
	return before
}

// list returns the objects in a bucket, sorted by key.
func (s *store) list(b translate.Bucket) []translate.Object {
	keys := make([]translate.Key, 0, len(s.buckets[b]))
	for key := range s.buckets[b] {
		keys = append(keys, key)
	}
	slices.SortFunc(keys, translate.Key.Compare)
	out := make([]translate.Object, 0, len(keys))
	for _, key := range keys {
		out = append(out, s.buckets[b][key])
	}
	return out
}

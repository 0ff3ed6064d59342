package router

import (
	"hash/maphash"
	"maps"
	"math/bits"
)

// hashMap is a persistent map from string: an edit copies the shards that it
// touches and shares the others. The number of shards is about the square root
// of the number of entries, so one change among n entries costs O(sqrt n).
type hashMap[V any] struct {
	seed   maphash.Seed
	shards []map[string]V // a power of two; nil: empty
	size   int
}

func (m *hashMap[V]) get(key string) (V, bool) {
	switch len(m.shards) {
	case 0:
		var none V
		return none, false
	case 1:
		v, ok := m.shards[0][key]
		return v, ok
	}
	v, ok := m.shards[maphash.String(m.seed, key)&uint64(len(m.shards)-1)][key]
	return v, ok
}

// all yields every entry in no particular order.
func (m *hashMap[V]) all(yield func(string, V) bool) {
	for _, shard := range m.shards {
		for k, v := range shard {
			if !yield(k, v) {
				return
			}
		}
	}
}

// mapEdit is a hashMap being changed. It belongs to one goroutine.
type mapEdit[V any] struct {
	m     hashMap[V]
	owned []bool // shards that are already copies
}

func (m *hashMap[V]) edit() *mapEdit[V] {
	e := &mapEdit[V]{m: *m}
	if len(m.shards) == 0 {
		e.m.seed = maphash.MakeSeed()
		e.m.shards, e.owned = []map[string]V{{}}, []bool{true}
		return e
	}
	e.m.shards = append([]map[string]V(nil), m.shards...)
	e.owned = make([]bool, len(m.shards))
	return e
}

func (e *mapEdit[V]) get(key string) (V, bool) { return e.m.get(key) }

func (e *mapEdit[V]) set(key string, v V) {
	shard := e.own(key)
	if _, ok := shard[key]; !ok {
		e.m.size++
	}
	shard[key] = v
	if e.m.size > 32*len(e.m.shards)*len(e.m.shards) {
		e.grow()
	}
}

func (e *mapEdit[V]) del(key string) {
	if _, ok := e.m.get(key); ok {
		delete(e.own(key), key)
		e.m.size--
	}
}

func (e *mapEdit[V]) done() hashMap[V] { return e.m }

// own returns the shard of key as a copy that may be changed.
func (e *mapEdit[V]) own(key string) map[string]V {
	i := maphash.String(e.m.seed, key) & uint64(len(e.m.shards)-1)
	if !e.owned[i] {
		clone := make(map[string]V, len(e.m.shards[i])+1)
		maps.Copy(clone, e.m.shards[i])
		e.m.shards[i], e.owned[i] = clone, true
	}
	return e.m.shards[i]
}

func (e *mapEdit[V]) grow() {
	old := e.m
	n := 1 << bits.Len(uint(2*len(old.shards)-1))
	e.m.shards, e.owned = make([]map[string]V, n), make([]bool, n)
	for i := range e.m.shards {
		e.m.shards[i], e.owned[i] = make(map[string]V, old.size/n+1), true
	}
	for k, v := range old.all {
		e.m.shards[maphash.String(e.m.seed, k)&uint64(n-1)][k] = v
	}
}

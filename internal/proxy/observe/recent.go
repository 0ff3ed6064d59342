package observe

// recent is a map that finds what it found last without looking for it: most
// exchanges that follow each other are alike. Its zero value is empty.
type recent[K comparable, V any] struct {
	all  map[K]*entry[K, V]
	last *entry[K, V]
}

// entry has the key that was put: one that is only looked for may share memory
// with a request.
type entry[K comparable, V any] struct {
	key   K
	value V
}

// get returns the value of k; ok is false where there is none.
func (r *recent[K, V]) get(k K) (v V, ok bool) {
	if r.last != nil && r.last.key == k {
		return r.last.value, true
	}
	e, ok := r.all[k]
	if !ok {
		return v, false
	}
	r.last = e
	return e.value, true
}

// put sets the value of k.
func (r *recent[K, V]) put(k K, v V) {
	if r.all == nil {
		r.all = make(map[K]*entry[K, V])
	}
	r.last = &entry[K, V]{k, v}
	r.all[k] = r.last
}

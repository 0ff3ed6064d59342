package observe

import "testing"

func TestRecent(t *testing.T) {
	var r recent[string, int]
	if _, ok := r.get(""); ok {
		t.Error("an empty one has the zero key")
	}
	r.put("a", 1)
	r.put("b", 2)
	r.put("a", 3)
	for _, want := range []struct {
		key   string
		value int
		ok    bool
	}{{"a", 3, true}, {"b", 2, true}, {"b", 2, true}, {"c", 0, false}, {"a", 3, true}} {
		if v, ok := r.get(want.key); v != want.value || ok != want.ok {
			t.Errorf("%q: %d, %v", want.key, v, ok)
		}
	}
}

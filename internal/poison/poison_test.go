//go:build poison

package poison

import "testing"

// Nothing of what was there is left.
func TestValues(t *testing.T) {
	type inner struct{ text string }
	type value struct {
		inner
		Raw   []byte
		Count *int64
		Yes   bool
		N     int
		All   [2]string
	}
	count := int64(1)
	one := value{inner{"x"}, []byte("x"), &count, true, 1, [2]string{"x", "x"}}
	list := []value{one, one}
	raw := one.Raw
	Values(list[:1])
	Bytes(raw[:0])
	for _, v := range list {
		if v.text == "x" || v.All[1] == "x" || v.Raw != nil || v.Count != nil || v.Yes || v.N == 1 {
			t.Errorf("%+v", v)
		}
	}
	if string(raw) == "x" {
		t.Errorf("%q", raw)
	}
}

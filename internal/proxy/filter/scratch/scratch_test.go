package scratch

import (
	"strings"
	"testing"
)

func TestBuffer_EarlierStringsOutliveGrowth(t *testing.T) {
	var s Buffer
	var got []string
	for i := range 200 {
		got = append(got, s.Join("a", strings.Repeat("b", i)))
	}
	for i, g := range got {
		if want := "a" + strings.Repeat("b", i); g != want {
			t.Fatalf("string %d is %q", i, g)
		}
	}
	if s.Join() != "" {
		t.Error("nothing joined is something")
	}
}

func TestBuffer_AllocatesNothingOnceGrown(t *testing.T) {
	var s Buffer
	if n := testing.AllocsPerRun(100, func() {
		s.Reset()
		s.Join("/a", "/b", "/c")
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

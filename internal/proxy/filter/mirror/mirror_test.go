package mirror

import (
	"testing"

	"github.com/citoroute/citoroute/internal/ir"
)

func TestWants_TakesItsShare(t *testing.T) {
	for _, test := range []struct{ numerator, denominator, of, min, max int }{
		{0, 100, 1000, 0, 0}, {100, 100, 1000, 1000, 1000}, {20, 100, 1000, 198, 202}, {1, 3, 3000, 998, 1002}, {50, 0, 1000, 498, 502},
	} {
		f, err := New(ir.Mirror{Numerator: uint32(test.numerator), Denominator: uint32(test.denominator)})
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for range test.of {
			if f.Wants() {
				n++
			}
		}
		if n < test.min || n > test.max {
			t.Errorf("%d/%d: %d of %d", test.numerator, test.denominator, n, test.of)
		}
	}
	if _, err := New(ir.Mirror{Numerator: 2, Denominator: 1}); err == nil {
		t.Error("more than everything is accepted")
	}
}

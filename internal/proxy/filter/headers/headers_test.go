package headers

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/citoroute/citoroute/internal/ir"
	"github.com/citoroute/citoroute/internal/proxy/exchange"
)

func pairs(in ...string) (out []ir.NameValue) {
	for _, p := range in {
		name, value, _ := strings.Cut(p, ": ")
		out = append(out, ir.NameValue{Name: name, Value: value})
	}
	return out
}

func TestApply(t *testing.T) {
	for name, test := range map[string]struct {
		cfg      ir.HeaderModifier
		in, want []string
	}{
		"SetReplacesEveryLine":    {ir.HeaderModifier{Set: pairs("X-A: 1")}, []string{"x-a: 8", "B: 2", "X-A: 9"}, []string{"x-a: 1", "B: 2"}},
		"SetAddsWhereAbsent":      {ir.HeaderModifier{Set: pairs("X-A: 1")}, []string{"B: 2"}, []string{"B: 2", "X-A: 1"}},
		"AddKeeps":                {ir.HeaderModifier{Add: pairs("X-A: 2")}, []string{"X-A: 1"}, []string{"X-A: 1", "X-A: 2"}},
		"RemoveAnyCase":           {ir.HeaderModifier{Remove: []string{"X-A"}}, []string{"x-a: 1", "B: 2"}, []string{"B: 2"}},
		"RemoveThenAdd":           {ir.HeaderModifier{Remove: []string{"X-A"}, Add: pairs("X-A: 2")}, []string{"X-A: 1"}, []string{"X-A: 2"}},
		"SetDropsAliases":         {ir.HeaderModifier{Set: pairs("X-User-Id: me")}, []string{"X_User-Id: you", "x_user_id: you"}, []string{"X-User-Id: me"}},
		"RemoveDropsAliases":      {ir.HeaderModifier{Remove: []string{"X-User"}}, []string{"X_User: you", "X_Other: 1"}, []string{"X_Other: 1"}},
		"FirstOfANameCounts":      {ir.HeaderModifier{Set: pairs("A: 1", "a: 2")}, nil, []string{"A: 1"}},
		"FramingIsNotTouched":     {ir.HeaderModifier{Set: pairs("Content-Length: 0", "Host: x"), Remove: []string{"Connection", "te"}}, []string{"Content-Length: 5", "TE: trailers"}, []string{"Content-Length: 5", "TE: trailers"}},
		"SetUnderscoreNameItself": {ir.HeaderModifier{Set: pairs("x_a: 1")}, []string{"x_a: 2", "x-a: 3"}, []string{"x_a: 1"}},
	} {
		t.Run(name, func(t *testing.T) {
			f, err := New(test.cfg)
			if err != nil {
				t.Fatal(err)
			}
			var h exchange.Header
			for _, p := range pairs(test.in...) {
				h.Add(p.Name, p.Value)
			}
			f.Apply(&h)
			var got []string
			for field := range h.All() {
				got = append(got, field.Name+": "+field.Value)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("header differs (-want +got):\n%s", diff)
			}
		})
	}
}

func TestNew_RefusesWhatCouldSmuggle(t *testing.T) {
	for name, cfg := range map[string]ir.HeaderModifier{
		"ValueWithNewline": {Set: []ir.NameValue{{Name: "A", Value: "1\r\nB: 2"}}},
		"ValueWithNUL":     {Add: []ir.NameValue{{Name: "A", Value: "1\x00"}}},
		"NameWithColon":    {Set: []ir.NameValue{{Name: "A: 1\nB", Value: "2"}}},
		"PseudoHeader":     {Set: []ir.NameValue{{Name: ":path", Value: "/"}}},
		"EmptyName":        {Add: []ir.NameValue{{Value: "1"}}},
		"RemoveEmpty":      {Remove: []string{""}},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := New(cfg); err == nil {
				t.Error("accepted")
			}
		})
	}
}

package trace

import (
	"strings"
	"testing"
)

const field = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

func counter() func() uint64 {
	n := uint64(0)
	return func() uint64 { n++; return n }
}

func TestBegin_FollowsTheCaller(t *testing.T) {
	for name, c := range map[string]struct {
		field   string
		ratio   float64
		sampled bool
		known   bool // the trace is the caller's
	}{
		"Sampled":       {field, 0, true, true},
		"NotSampled":    {strings.TrimSuffix(field, "1") + "0", 1, false, false},
		"LaterVersion":  {"01" + field[2:] + "-more", 0, true, true},
		"None":          {"", 0, false, false},
		"NoneByRatio":   {"", 1, true, false},
		"Version255":    {"ff" + field[2:], 1, true, false},
		"ZeroTrace":     {"00-" + strings.Repeat("0", 32) + field[35:], 1, true, false},
		"ZeroParent":    {field[:36] + strings.Repeat("0", 16) + "-01", 1, true, false},
		"UpperCase":     {strings.ToUpper(field), 1, true, false},
		"TooLong":       {field + "-x", 1, true, false},
		"LaterNoHyphen": {"01" + field[2:] + "x", 1, true, false},
		"Short":         {field[:54], 1, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			got := NewSampler(c.ratio).Begin(c.field, counter())
			if got.Sampled != c.sampled {
				t.Fatalf("%+v", got)
			}
			if !got.Sampled {
				if got != (Trace{}) {
					t.Errorf("not recorded, but %+v", got)
				}
				return
			}
			sent := got.Field(got.Own)
			if known := sent[3:35] == field[3:35] && got.Parent != (Span{}); known != c.known {
				t.Errorf("%+v goes on as %s", got, sent)
			}
			if again, ok := parse(sent); !ok || again.Parent != got.Own || !again.Sampled {
				t.Errorf("%s does not read back", sent)
			}
		})
	}
}

func TestSampler_KeepsTheRatio(t *testing.T) {
	s := NewSampler(0.25)
	hits := 0
	for i := range 1000 {
		if s.Begin("", func() uint64 { return uint64(i) * (1 << 63 / 500) }).Sampled {
			hits++
		}
	}
	if hits < 249 || hits > 251 {
		t.Errorf("%d of 1000", hits)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(field)
	f.Fuzz(func(t *testing.T, in string) {
		if got, ok := parse(in); ok && !strings.HasPrefix(in[2:], got.Field(got.Parent)[2:53]) {
			t.Errorf("%q is read as %+v", in, got)
		}
	})
}

func BenchmarkBegin(b *testing.B) {
	s, random := NewSampler(0), counter()
	b.ReportAllocs()
	for b.Loop() {
		s.Begin(field, random)
	}
}

package sse

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

type event struct{ Name, Data string }

func decode(t *testing.T, d *Decoder, pieces ...[]byte) []event {
	t.Helper()
	var got []event
	for _, p := range pieces {
		if err := d.Write(p, func(e Event) error {
			got = append(got, event{string(e.Name), string(e.Data)})
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	return got
}

func cases() map[string]struct {
	in   string
	want []event
} {
	return map[string]struct {
		in   string
		want []event
	}{
		"LF":                  {"data: a\n\ndata: b\n\n", []event{{"", "a"}, {"", "b"}}},
		"CRLF":                {"event: x\r\ndata: a\r\n\r\n", []event{{"x", "a"}}},
		"CR":                  {"event: x\rdata: a\r\rdata: b\r\r", []event{{"x", "a"}, {"", "b"}}},
		"NoSpaceAfterColon":   {"data:a\n\n", []event{{"", "a"}}},
		"TwoSpaces":           {"data:  a\n\n", []event{{"", " a"}}},
		"MultiLineData":       {"data: a\ndata: b\n\n", []event{{"", "a\nb"}}},
		"EmptyData":           {"data\n\n", []event{{"", ""}}},
		"Comment":             {": ping\n\ndata: a\n\n", []event{{"", "a"}}},
		"ByteOrderMark":       {"\xef\xbb\xbfdata: a\n\n", []event{{"", "a"}}},
		"UnknownField":        {"id: 1\nretry: 5\nfoo: x\ndata: a\n\n", []event{{"", "a"}}},
		"NameWithoutData":     {"event: x\n\ndata: a\n\n", []event{{"", "a"}}},
		"LastEventUnfinished": {"data: a\n\ndata: b\n", []event{{"", "a"}}},
		"SplitRune":           {"data: grüß\n\n", []event{{"", "grüß"}}},
	}
}

func TestLM018_AnySplitGivesTheSameEvents(t *testing.T) {
	for name, c := range cases() {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, decode(t, &Decoder{}, []byte(c.in))); diff != "" {
				t.Fatalf("whole: -want +got:\n%s", diff)
			}
			for i := range len(c.in) {
				if diff := cmp.Diff(c.want, decode(t, &Decoder{}, []byte(c.in[:i]), []byte(c.in[i:]))); diff != "" {
					t.Fatalf("split at %d: -want +got:\n%s", i, diff)
				}
			}
			var bytewise [][]byte
			for i := range len(c.in) {
				bytewise = append(bytewise, []byte(c.in[i:i+1]))
			}
			if diff := cmp.Diff(c.want, decode(t, &Decoder{}, bytewise...)); diff != "" {
				t.Fatalf("byte by byte: -want +got:\n%s", diff)
			}
		})
	}
}

func TestDecoder_Pending(t *testing.T) {
	d := &Decoder{}
	decode(t, d, []byte("data: a\n\n"))
	if d.Pending() {
		t.Error("nothing is held after a whole event")
	}
	decode(t, d, []byte("data: b\n"))
	if !d.Pending() {
		t.Error("an event without its blank line is held")
	}
}

func TestLM018_LimitsOneEvent(t *testing.T) {
	for name, in := range map[string]string{
		"OneLine":   "data: " + strings.Repeat("x", 100),
		"ManyLines": strings.Repeat("data: xxxxxxxxxx\n", 10),
	} {
		t.Run(name, func(t *testing.T) {
			d := &Decoder{Limit: 64}
			err := d.Write([]byte(in), func(Event) error { return nil })
			if !errors.Is(err, ErrTooLong) {
				t.Errorf("got %v, want ErrTooLong", err)
			}
		})
	}
}

func TestAppend_ContentCannotBecomeAField(t *testing.T) {
	for _, data := range []string{"a", "a\n\ndata: [DONE]\n\n", "a\revent: error", "a\r\nid: 1", "\n", ""} {
		got := decode(t, &Decoder{}, Append(nil, "x", []byte(data)))
		want := strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(data)
		if diff := cmp.Diff([]event{{"x", want}}, got); diff != "" {
			t.Errorf("%q: -want +got:\n%s", data, diff)
		}
	}
	if got := decode(t, &Decoder{}, AppendComment(nil, "ping")); got != nil {
		t.Errorf("a comment is no event, got %v", got)
	}
}

func FuzzDecoder(f *testing.F) {
	for _, c := range cases() {
		f.Add([]byte(c.in), 3)
	}
	f.Fuzz(func(t *testing.T, in []byte, cut int) {
		whole := decode(t, &Decoder{}, in)
		if cut < 0 || cut > len(in) {
			cut = len(in) / 2
		}
		if diff := cmp.Diff(whole, decode(t, &Decoder{}, in[:cut], in[cut:])); diff != "" {
			t.Errorf("split at %d: -whole +split:\n%s", cut, diff)
		}
		for _, e := range whole {
			if bytes.ContainsAny([]byte(e.Data), "\r") {
				t.Errorf("data keeps a line break: %q", e.Data)
			}
		}
	})
}

func BenchmarkDecoder(b *testing.B) {
	in := bytes.Repeat([]byte("data: {\"choices\":[{\"delta\":{\"content\":\"hello\"}}]}\n\n"), 100)
	b.SetBytes(int64(len(in)))
	b.ReportAllocs()
	for b.Loop() {
		var d Decoder
		_ = d.Write(in, func(Event) error { return nil })
	}
}

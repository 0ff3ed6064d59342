package quickjson

import (
	"encoding/json/jsontext"
	json "encoding/json/v2"
	"strings"
	"testing"
	"unsafe"

	"github.com/google/go-cmp/cmp"
)

// all has a field of every shape.
type all struct {
	Text      string            `json:"text"`
	MaybeText string            `json:"maybe_text,omitempty"`
	Yes       bool              `json:"yes"`
	YesZero   bool              `json:"yes_zero,omitzero"`
	Count     int               `json:"count,omitempty"`
	CountZero int64             `json:"count_zero,omitzero"`
	Raw       jsontext.Value    `json:"raw"`
	MaybeRaw  jsontext.Value    `json:"maybe_raw,omitzero"`
	List      []string          `json:"list,omitempty"`
	One       inner             `json:"one"`
	Many      []inner           `json:"many"`
	MaybeMany []inner           `json:"maybe_many,omitempty"`
	PText     *string           `json:"p_text,omitempty"`
	PYes      *bool             `json:"p_yes"`
	PCount    *int64            `json:"p_count,omitempty"`
	PFloat    *float64          `json:"p_float,omitempty"`
	POne      *inner            `json:"p_one,omitempty"`
	Map       map[string]string `json:"map,omitempty"`
	Rest      jsontext.Value    `json:",embed"`
}

// inner may hold itself.
type inner struct {
	Name  string  `json:"name,omitempty"`
	Inner *inner  `json:"inner,omitempty"`
	More  []inner `json:"more,omitempty"`
}

var inputs = []string{
	`{}`,
	` { "text" : "a" , "yes" : true } `,
	`{"text":"a\nb\u00e9\ud83d\ude00","maybe_text":"héllo 世界"}`,
	`{"text":"0123456789abcdef\"","raw":{"b":1,"a":[1,2.5e3,-0,null,true,false,""]}}`,
	`{"raw":null,"maybe_raw":null,"list":["a","b"],"one":{"name":"x"},"many":[{"name":"y"},null]}`,
	`{"p_text":"","p_yes":false,"p_count":-7,"p_float":0.25,"p_one":{"inner":{"more":[{},{"name":"z"}]}}}`,
	`{"p_text":null,"p_yes":null,"count":null,"one":null,"many":null,"list":null}`,
	`{"unknown":1,"text":"a","other":{"x":[1]}}`,
	`{"p_float":1e-7}`, `{"p_float":1e21}`, `{"p_float":-0}`, `{"p_float":1e400}`, `{"p_float":123456789.125}`,
	`{"map":{}}`, `{"map":{"a":"b"}}`, `{"list":[]}`, `{"many":[]}`, `{"p_one":{}}`,
	`{"raw": { "a\\" : [ 1 , "b \\\\" , "\\\"c " ] , "d" : "\\\\\"e f" } }`, `{"raw":"a \\\" b","text":"é \"\\u0020 x"}`,
}

var invalid = []string{
	``, `{`, `[]`, `null`, `{}x`, `{"text":1}`, `{"text":"a","text":"b"}`, `{"raw":{"a":1,"a":2}}`, `{"raw":{"a":1,"\u0061":2}}`,
	`{"text":"` + "\xff" + `"}`, `{"text":"\ud800"}`, `{"text":"\udc00\ud800"}`, `{"text":"\x"}`, `{"text":"` + "\n" + `"}`,
	`{"count":1.0}`, `{"count":01}`, `{"count":-}`, `{"count":99999999999999999999}`, `{"raw":1.}`, `{"raw":1e}`, `{"raw":tru}`,
	`{"text":"a",}`, `{"list":["a",]}`, `{"text" "a"}`, `{text:1}`, "{\"text\":\"a\"}\x00", `{"raw":` + strings.Repeat("[", 20_000) + `}`,
}

var codec = For[all]()

// compare holds what is read, and written again, against encoding/json/v2. It
// says whether that was our own doing.
func compare(t *testing.T, b []byte) (ours bool) {
	t.Helper()
	var want, got, fast all
	wantErr := json.Unmarshal(b, &want)
	gotErr := codec.Unmarshal(b, &got)
	if (wantErr == nil) != (gotErr == nil) {
		t.Fatalf("%q: error %v, want %v", b, gotErr, wantErr)
	}
	s := scanner{b: b}
	ours = s.object(unsafe.Pointer(&fast), codec.plan) && s.end()
	switch {
	case ours && wantErr != nil:
		t.Fatalf("%q: read, but %v", b, wantErr)
	case wantErr != nil:
		return ours
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("%q (-want +got):\n%s", b, diff)
	}
	loan, err := codec.Borrow(b)
	if err != nil {
		t.Fatalf("%q: borrowed: %v", b, err)
	}
	if diff := cmp.Diff(want, loan.Value); diff != "" {
		t.Fatalf("%q: borrowed (-want +got):\n%s", b, diff)
	}
	written, err := json.Marshal(&want, json.Deterministic(true), jsontext.PreserveRawStrings(true), jsontext.AllowDuplicateNames(true))
	if err != nil {
		t.Fatalf("%q: %v", b, err)
	}
	if unread, err := codec.MarshalInto(nil, &loan.Value, b); err != nil || string(unread) != string(written) {
		t.Fatalf("%q: written unread as %s (%v), want %s", b, unread, err, written)
	}
	loan.Return()
	again, err := codec.Marshal(&got)
	if err != nil || string(again) != string(written) {
		t.Fatalf("%q: written as %s (%v), want %s", b, again, err, written)
	}
	return ours
}

func TestCodec_IsEncodingJSON(t *testing.T) {
	for _, in := range inputs {
		compare(t, []byte(in))
	}
	for _, in := range invalid {
		if compare(t, []byte(in)) {
			t.Errorf("%q is not valid, but was read", in)
		}
	}
}

func TestCodec_DoesTheCommonItself(t *testing.T) {
	for _, in := range inputs[:9] {
		if !compare(t, []byte(in)) {
			t.Errorf("%s was left to encoding/json/v2", in)
		}
	}
	v := all{Text: "a", PText: new("b"), Many: []inner{{Name: "c"}}, Raw: jsontext.Value(`{"d": 1}`), Map: map[string]string{}}
	if _, ok := (source{}).appendStruct(nil, unsafe.Pointer(&v), codec.plan); !ok {
		t.Error("writing was left to encoding/json/v2")
	}
}

// What is borrowed has nothing of what was borrowed before in the same memory.
func TestBorrow_Again(t *testing.T) {
	full := `{"many":[{"name":"a"},{"name":"b","more":[{"name":"c"}]},{},{"name":"d"}],"maybe_many":[{"name":"e"}],` +
		`"p_text":"f","p_yes":true,"p_count":1,"p_float":2}`
	for _, in := range append([]string{full, full}, inputs...) {
		var want all
		if err := json.Unmarshal([]byte(in), &want); err != nil {
			continue // what is wrong ends a loan at once
		}
		loan, err := codec.Borrow([]byte(in))
		if err != nil {
			t.Fatal(in, err)
		}
		if diff := cmp.Diff(want, loan.Value); diff != "" {
			t.Errorf("%s (-want +got):\n%s", in, diff)
		}
		used, _ := codec.Borrow([]byte(full))
		loan.Return()
		if used != nil {
			used.Return()
		}
	}
}

func TestPlainLen(t *testing.T) {
	for c := range 256 {
		for at := range 40 {
			b := []byte(strings.Repeat("a", at) + string([]byte{byte(c)}) + "bcdefghijklmnopqrstuvwxyzabcdefghij")
			want := at
			if c >= ' ' && c < 0x80 && c != '"' && c != '\\' {
				want = len(b)
			}
			if got := plainLen(b); got != want {
				t.Fatalf("byte %#x at %d: %d, want %d", c, at, got, want)
			}
		}
	}
}

func TestString(t *testing.T) {
	for in, want := range map[string]string{`"a"`: "a", `"a\tb"`: "a\tb", `"é"`: "é", `""`: ""} {
		if got, err := String([]byte(in)); err != nil || got != want {
			t.Errorf("%s: %q, %v", in, got, err)
		}
	}
	for _, in := range []string{`a`, `"a`, `"a"b`, `1`} {
		if got, err := String([]byte(in)); err == nil {
			t.Errorf("%s: %q", in, got)
		}
	}
}

func FuzzCodec(f *testing.F) {
	for _, in := range append(inputs, invalid...) {
		f.Add([]byte(in))
	}
	f.Fuzz(func(t *testing.T, b []byte) { compare(t, b) })
}

func FuzzMarshal(f *testing.F) {
	f.Add("text", "né\"\\", 0.5, int64(1))
	f.Fuzz(func(t *testing.T, a, b string, n float64, i int64) {
		v := all{Text: a, PText: &b, PFloat: &n, CountZero: i, List: []string{a, b}, POne: &inner{Name: b}}
		want, wantErr := json.Marshal(&v)
		got, err := codec.Marshal(&v)
		if (err == nil) != (wantErr == nil) || err == nil && string(got) != string(want) {
			t.Fatalf("%s, %v; want %s, %v", got, err, want, wantErr)
		}
	})
}

func BenchmarkCodec(b *testing.B) {
	in := []byte(`{"text":"` + strings.Repeat("What does a gateway do? ", 42) + `","yes":true,"count":256,"many":[{"name":"a"}],"p_float":0.2}`)
	b.ReportAllocs()
	for b.Loop() {
		var v all
		if err := codec.Unmarshal(in, &v); err != nil {
			b.Fatal(err)
		}
		if _, err := codec.Marshal(&v); err != nil {
			b.Fatal(err)
		}
	}
}

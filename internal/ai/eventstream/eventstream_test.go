package eventstream

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

type message struct {
	Headers map[string]string
	Payload string
}

func decode(d *Decoder, pieces ...[]byte) (got []message, err error) {
	for _, p := range pieces {
		err = d.Write(p, func(m Message) error {
			got = append(got, message{m.Headers, string(m.Payload)})
			return nil
		})
		if err != nil {
			return got, err
		}
	}
	return got, nil
}

func read(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestT70_AWSVectors(t *testing.T) {
	for name, want := range map[string]message{
		"empty_message":          {map[string]string{}, ""},
		"int32_header":           {map[string]string{}, "{'foo':'bar'}"},
		"payload_no_headers":     {map[string]string{}, "{'foo':'bar'}"},
		"payload_one_str_header": {map[string]string{"content-type": "application/json"}, "{'foo':'bar'}"},
		"all_headers":            {map[string]string{"content-type": "application/json"}, "{'foo':'bar'}"},
	} {
		t.Run("Positive/"+name, func(t *testing.T) {
			in := read(t, "positive/"+name)
			for cut := range len(in) {
				got, err := decode(&Decoder{}, in[:cut], in[cut:], in)
				if err != nil {
					t.Fatalf("cut at %d: %v", cut, err)
				}
				if diff := cmp.Diff([]message{want, want}, got); diff != "" {
					t.Fatalf("cut at %d: -want +got:\n%s", cut, diff)
				}
			}
		})
	}
	for _, name := range []string{"corrupted_headers", "corrupted_header_len", "corrupted_length", "corrupted_payload"} {
		t.Run("Negative/"+name, func(t *testing.T) {
			if got, err := decode(&Decoder{}, read(t, "negative/"+name)); !errors.Is(err, ErrMalformed) {
				t.Errorf("got %v and %v, want ErrMalformed", got, err)
			}
		})
	}
}

// prelude returns a prelude with a right checksum, and nothing after it.
func prelude(total, headers uint32) []byte {
	b := binary.BigEndian.AppendUint32(nil, total)
	b = binary.BigEndian.AppendUint32(b, headers)
	return binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b))
}

func TestT71_BadFrames(t *testing.T) {
	good := Append(nil, []Header{{":event-type", "messageStart"}}, []byte(`{"role":"assistant"}`))
	badPrelude := append([]byte(nil), good...)
	badPrelude[8] ^= 1
	badMessage := append([]byte(nil), good...)
	badMessage[len(badMessage)-1] ^= 1
	unknownType := append([]byte(nil), good...)
	unknownType[preludeLen+1+len(":event-type")] = 10
	binary.BigEndian.PutUint32(unknownType[len(unknownType)-crcLen:], crc32.ChecksumIEEE(unknownType[:len(unknownType)-crcLen]))
	longValue := append([]byte(nil), good...)
	longValue[preludeLen+2+len(":event-type")] = 0xff // the first byte of the value's length
	binary.BigEndian.PutUint32(longValue[len(longValue)-crcLen:], crc32.ChecksumIEEE(longValue[:len(longValue)-crcLen]))
	for name, in := range map[string][]byte{
		"HeaderNameEmpty":    Append(nil, []Header{{"", "x"}}, nil),
		"HeaderValueTooLong": longValue,
		"BadPreludeChecksum": badPrelude,
		"BadMessageChecksum": badMessage,
		"LengthZero":         prelude(0, 0),
		"LengthTooSmall":     prelude(15, 0),
		"LengthHuge":         prelude(MaxMessage+1, 0),
		"HeadersBeyondTotal": prelude(100, 85),
		"HeadersHuge":        prelude(MaxMessage, MaxHeaders+1),
		"UnknownHeaderType":  unknownType,
	} {
		t.Run(name, func(t *testing.T) {
			var d Decoder
			if got, err := decode(&d, in); !errors.Is(err, ErrMalformed) {
				t.Errorf("got %v and %v, want ErrMalformed", got, err)
			}
			if cap(d.buf) > 1<<16 {
				t.Errorf("%d bytes were set aside for a frame that is not believed", cap(d.buf))
			}
		})
	}
}

func TestDecoder_PendingAfterATruncatedMessage(t *testing.T) {
	in := Append(nil, []Header{{":event-type", "messageStop"}}, []byte(`{}`))
	for cut := 1; cut < len(in); cut++ {
		var d Decoder
		if got, err := decode(&d, in[:cut]); err != nil || got != nil || !d.Pending() {
			t.Fatalf("cut at %d: %v, %v, pending %v", cut, got, err, d.Pending())
		}
	}
}

func TestAppend_IsReadBack(t *testing.T) {
	in := Append([]byte("x"), []Header{{":message-type", "event"}, {":event-type", ""}}, nil)
	got, err := decode(&Decoder{}, in[1:])
	if err != nil {
		t.Fatal(err)
	}
	want := []message{{map[string]string{":message-type": "event", ":event-type": ""}, ""}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func FuzzDecoder(f *testing.F) {
	for _, dir := range []string{"positive", "negative"} {
		files, err := os.ReadDir(filepath.Join("testdata", dir))
		if err != nil {
			f.Fatal(err)
		}
		for _, file := range files {
			f.Add(read(f, dir+"/"+file.Name()), 5)
		}
	}
	f.Fuzz(func(t *testing.T, in []byte, cut int) {
		whole, wholeErr := decode(&Decoder{}, in)
		if cut < 0 || cut > len(in) {
			cut = len(in) / 2
		}
		split, splitErr := decode(&Decoder{}, in[:cut], in[cut:])
		if diff := cmp.Diff(whole, split); diff != "" || (wholeErr == nil) != (splitErr == nil) {
			t.Errorf("split at %d: %v, %v; -whole +split:\n%s", cut, wholeErr, splitErr, diff)
		}
	})
}

func BenchmarkDecoder(b *testing.B) {
	var in []byte
	for range 100 {
		in = Append(in, []Header{{":message-type", "event"}, {":event-type", "contentBlockDelta"}}, []byte(`{"contentBlockIndex":0,"delta":{"text":"hello"}}`))
	}
	b.SetBytes(int64(len(in)))
	b.ReportAllocs()
	for b.Loop() {
		var d Decoder
		_ = d.Write(in, func(Message) error { return nil })
	}
}

package ai

import (
	"strings"
	"testing"
)

func TestSize(t *testing.T) {
	image := strings.Repeat("iVBORw0KGgo", 1000)
	for name, test := range map[string]struct {
		protocol Protocol
		body     string
		want     Size
	}{
		"Text":          {Chat, `{"model":"m","messages":[]}`, Size{Input: 6, Choices: 1}},
		"Maximum":       {Chat, `{"model":"m","max_tokens":20}`, Size{Input: 7, Output: 20, Choices: 1}},
		"TheGreater":    {Chat, `{"model":"m","max_tokens":20,"max_completion_tokens":30,"n":3}`, Size{Input: 15, Output: 30, Choices: 3}},
		"Responses":     {Responses, `{"model":"m","max_output_tokens":20}`, Size{Input: 9, Output: 20, Choices: 1}},
		"DataURI":       {Chat, `{"model":"m","u":"data:image/png;base64,` + image + `"}`, Size{Input: 1600 + 5, Choices: 1}},
		"Base64":        {Messages, `{"model":"m","data":"` + image + `","d2":"` + image + `"}`, Size{Input: 2*1600 + 7, Choices: 1}},
		"EscapedBase64": {Chat, `{"model":"m","u":"` + strings.Repeat(`a\/`, 1000) + `"}`, Size{Input: 1600 + 5, Choices: 1}},
		"LongText":      {Chat, `{"model":"m","u":"` + strings.Repeat(`a \" `, 1000) + `"}`, Size{Input: 1250 + 5, Choices: 1}},
		"Embeddings":    {Embeddings, `{"model":"m","input":"a"}`, Size{Input: 6}},
	} {
		t.Run(name, func(t *testing.T) {
			call, err := Parse(test.protocol, []byte(test.body))
			if err != nil {
				t.Fatal(err)
			}
			if got := call.Size(); got != test.want {
				t.Errorf("%+v, want %+v", got, test.want)
			}
		})
	}
}

// LM-013: numbers that make no sense say nothing, and none is beyond reason.
func TestLM013_SizesAreClamped(t *testing.T) {
	for value, want := range map[string]int64{
		"-1": 0, "0": 0, "1e18": 1 << 53, "1e400": 0, `"20"`: 0, "null": 0, "[20]": 0, "1.9": 1, "true": 0,
	} {
		call, err := Parse(Chat, []byte(`{"model":"m","max_tokens":`+value+`,"n":`+value+`}`))
		if err != nil {
			t.Fatal(err)
		}
		if got := call.Size(); got.Output != want || got.Choices != min(max(want, 1), 128) {
			t.Errorf("%s: %+v", value, got)
		}
	}
}

func FuzzEstimateInput(f *testing.F) {
	f.Add([]byte(`{"a":"b\"","c":"` + strings.Repeat("QUJD", 400) + `"}`))
	f.Add([]byte(`"\`))
	f.Fuzz(func(t *testing.T, body []byte) {
		if got, most := estimateInput(body), int64(len(body)/bytesPerToken+len(body)/minMedia*mediaTokens); got < 0 || got > most {
			t.Errorf("%d tokens in %d bytes", got, len(body))
		}
	})
}

package ai

import "bytes"

// Size is how large a request is, as far as can be told before a provider has
// counted.
type Size struct {
	// Input is an estimate of the prompt, in tokens: one for every four bytes of
	// the body, and a fixed number for every image or document in it.
	Input int64
	// Output is the most tokens that the client wants in an answer; 0: it did
	// not say.
	Output int64
	// Choices is how many answers it wants; 0 where none is generated.
	Choices int64
}

const (
	bytesPerToken = 4
	// mediaTokens is what providers charge at most for a usual image.
	mediaTokens = 1600
	// minMedia is how long base64 is at least to be taken for media, in bytes.
	minMedia = 1024
	// maxChoices is the most answers that OpenAI gives.
	maxChoices = 128
)

// Size estimates how large the request is.
func (c *Call) Size() Size {
	if c.client.counts {
		return Size{}
	}
	s := Size{Input: estimateInput(c.body), Output: c.head.MaxTokens, Choices: min(max(c.head.Choices, 1), maxChoices)}
	if c.client.embeds {
		s.Choices = 0
	}
	return s
}

// estimateInput estimates the tokens of a request body, which is valid JSON.
func estimateInput(body []byte) int64 {
	text, media := len(body), 0
	for rest := body; ; {
		begin := bytes.IndexByte(rest, '"')
		if begin < 0 {
			return int64(text/bytesPerToken + media*mediaTokens)
		}
		rest = rest[begin+1:]
		end := closingQuote(rest)
		if s := rest[:end]; isMedia(s) {
			text, media = text-len(s), media+1
		}
		rest = rest[min(end+1, len(rest)):]
	}
}

// closingQuote returns where a JSON string ends that s begins in.
func closingQuote(s []byte) int {
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '"':
			return i
		}
	}
	return len(s)
}

// isMedia says whether a string is an image or document by value: base64, alone
// or in a data URI. Text of that length has spaces.
func isMedia(s []byte) bool {
	if len(s) < minMedia {
		return false
	}
	if bytes.HasPrefix(s, []byte("data:")) {
		if _, data, ok := bytes.Cut(s, []byte(";base64,")); ok {
			s = data
		}
	}
	for _, c := range s {
		switch {
		case 'A' <= c && c <= 'Z', 'a' <= c && c <= 'z', '0' <= c && c <= '9':
		case c == '+', c == '/', c == '=', c == '\\': // "/" may be written "\/"
		default:
			return false
		}
	}
	return true
}

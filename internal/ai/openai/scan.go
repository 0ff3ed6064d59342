package openai

import (
	"bytes"
	"encoding/json/jsontext"
	json "encoding/json/v2"
	"strconv"

	"github.com/citoroute/citoroute/internal/ai/chat"
	"github.com/citoroute/citoroute/internal/ai/quickjson"
)

// MaxDepth is how deeply arrays and objects of a request may nest.
const MaxDepth = 256

// Head is what must be known of a request before a backend is chosen, and
// where it stands in the body.
type Head struct {
	Model        string
	Stream       bool
	IncludeUsage bool
	// Functions says that the client speaks of tools by their older name.
	Functions bool
	// MaxTokens is the greatest number of tokens that an answer may have, and
	// Choices how many answers are asked for; 0 where no number of 1 or more is
	// there.
	MaxTokens, Choices int64

	model, streamOptions span // values; zero where absent
	object               int  // offset behind the opening brace
	empty                bool
	wrong                error // what a member has that can not be passed on
}

type span struct{ start, end int }

// Scan makes h the head of a request body and checks the whole of it: one JSON
// object, valid UTF-8, no member twice, not too deep. "model" and "stream"
// must be what the provider, too, will read: a member whose name differs from
// them in case alone is refused.
func (h *Head) Scan(body []byte) error {
	h.begin(body)
	if ok := quickjson.Members(body, h.visit); ok || h.wrong != nil {
		return h.wrong
	}
	return h.scanSlowly(body)
}

// ScanChat is [Head.Scan] and [ParseChat] in one pass. parsed is false where that
// can not be done, or where ParseChat has something to say; r is empty then.
func (h *Head) ScanChat(body []byte, r *chat.Request) (parsed bool, err error) {
	h.begin(body)
	in, ok := chatRequestJSON.BorrowVisit(body, h.visit)
	if !ok {
		return false, h.Scan(body)
	}
	defer in.Return()
	r.Source = body
	if err := in.Value.request(r); err != nil {
		r.Reset()
		return false, nil
	}
	return true, nil
}

func (h *Head) begin(body []byte) { *h = Head{object: bytes.IndexByte(body, '{') + 1, empty: true} }

// visit takes note of a member.
func (h *Head) visit(name []byte, value jsontext.Value, at int) bool {
	h.empty = false
	h.wrong = h.member(name, value, span{at, at + len(value)})
	return h.wrong == nil
}

// scanSlowly is Scan for a body with something unusual in it, or something
// wrong, which it names.
func (h *Head) scanSlowly(body []byte) error {
	if err := checkDepth(body); err != nil {
		return err
	}
	d := jsontext.NewDecoder(bytes.NewBuffer(body))
	if d.PeekKind() != '{' {
		return chat.Invalid("", "the body is not a JSON object")
	}
	if _, err := d.ReadToken(); err != nil {
		return chat.BadJSON(err)
	}
	*h = Head{object: int(d.InputOffset()), empty: true}
	for d.PeekKind() != '}' {
		name, err := d.ReadToken()
		if err != nil {
			return chat.BadJSON(err)
		}
		key := name.String()
		value, err := d.ReadValue()
		if err != nil {
			return chat.BadJSON(err)
		}
		h.empty = false
		end := int(d.InputOffset())
		if err := h.member([]byte(key), value, span{end - len(value), end}); err != nil {
			return err
		}
	}
	if _, err := d.ReadToken(); err != nil {
		return chat.BadJSON(err)
	}
	if rest := bytes.TrimLeft(body[d.InputOffset():], " \t\r\n"); len(rest) > 0 {
		return chat.Invalid("", "the body goes on after its JSON object")
	}
	return nil
}

func (h *Head) member(key []byte, value jsontext.Value, at span) error {
	switch string(key) {
	case "model":
		if value.Kind() != '"' {
			return chat.Invalid("model", "must be a string")
		}
		h.model = at
		var err error
		h.Model, err = quickjson.String(value)
		return err
	case "stream":
		switch value.Kind() {
		case 't', 'f', 'n':
			h.Stream = value.Kind() == 't'
			return nil
		default:
			return chat.Invalid("stream", "must be true or false")
		}
	case "stream_options":
		h.streamOptions = at
		if value.Kind() == 'n' {
			return nil
		}
		var o streamOptions
		if err := json.Unmarshal(value, &o); err != nil {
			return chat.Invalid("stream_options", "must be an object whose include_usage is true or false")
		}
		h.IncludeUsage = o.IncludeUsage
		return nil
	case "max_tokens", "max_completion_tokens", "max_output_tokens":
		h.MaxTokens = max(h.MaxTokens, count(value))
		return nil
	case "functions":
		h.Functions = value.Kind() == '['
		return nil
	case "n":
		h.Choices = count(value)
		return nil
	case "api_base", "base_url", "api_key", "api_version", "endpoint", "organization", "custom_llm_provider":
		return chat.Invalid(string(key), "a request cannot choose where it goes, or with which key")
	}
	if bytes.EqualFold(key, []byte("model")) || bytes.EqualFold(key, []byte("stream")) {
		return chat.Invalid("", "unknown parameter %q: parameter names are lower case", key)
	}
	return nil
}

// count reads a number of 1 or more; anything else is 0. Whether it is right is
// for those to say who use it.
func count(value jsontext.Value) int64 {
	if n, err := strconv.ParseInt(string(value), 10, 64); err == nil {
		return min(max(n, 0), 1<<53)
	}
	f, err := strconv.ParseFloat(string(value), 64)
	if err != nil || f < 1 {
		return 0
	}
	return int64(min(f, 1<<53))
}

// checkDepth refuses a body that nests too deeply, before anything recursive
// reads it.
func checkDepth(body []byte) error {
	depth, inString := 0, false
	for i := 0; i < len(body); i++ {
		switch c := body[i]; {
		case inString && c == '\\':
			i++
		case c == '"':
			inString = !inString
		case inString:
		case c == '{' || c == '[':
			if depth++; depth > MaxDepth {
				return chat.Invalid("", "the body nests more than %d levels deep", MaxDepth)
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	return nil
}

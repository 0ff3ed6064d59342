package openai

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json/jsontext"
	json "encoding/json/v2"
	"math"
	"slices"
	"strconv"

	"github.com/citoroute/citoroute/internal/ai/chat"
	"github.com/citoroute/citoroute/internal/ai/embed"
)

// EmbeddingsPath is where embeddings are asked for, below the base URL.
const EmbeddingsPath = "/embeddings"

// embeddingsRequest is the body of POST /v1/embeddings.
type embeddingsRequest struct {
	Model          string         `json:"model"`
	Input          jsontext.Value `json:"input"`
	EncodingFormat string         `json:"encoding_format"`
	Dimensions     *int64         `json:"dimensions"`
	// InputType is no parameter of OpenAI's: Cohere's models want it.
	InputType string         `json:"input_type"`
	Rest      jsontext.Value `json:",embed"`
}

// ParseEmbeddings reads the body of an embeddings request for a provider that
// speaks another protocol. The error is a *chat.Error that names the parameter.
func ParseEmbeddings(body []byte) (*embed.Request, error) {
	var in embeddingsRequest
	if err := json.Unmarshal(body, &in); err != nil {
		return nil, chat.BadJSON(err)
	}
	out := &embed.Request{Model: in.Model, InputType: in.InputType}
	switch in.EncodingFormat {
	case "", "float":
	case "base64":
		out.Base64 = true
	default:
		return nil, chat.Invalid("encoding_format", "%q is not one of float, base64", in.EncodingFormat)
	}
	if n := in.Dimensions; n != nil {
		if *n < 1 {
			return nil, chat.Invalid("dimensions", "must be 1 or more, not %d", *n)
		}
		out.Dimensions = *n
	}
	rest, err := names(in.Rest)
	if err != nil {
		return nil, err
	}
	for name, value := range rest {
		if value.Kind() != 'n' {
			out.Ignored = append(out.Ignored, name)
		}
	}
	slices.Sort(out.Ignored)
	out.Texts, err = embeddingTexts(present(in.Input))
	return out, err
}

// embeddingTexts reads a text or a list of texts. Lists of tokens are for
// OpenAI alone: nobody else knows its vocabulary.
func embeddingTexts(input jsontext.Value) ([]string, error) {
	var texts []string
	switch {
	case input == nil:
		return nil, chat.Invalid("input", "is required")
	case input.Kind() == '"':
		texts = []string{""}
		if err := json.Unmarshal(input, &texts[0]); err != nil {
			return nil, chat.BadJSON(err)
		}
	default:
		var list []jsontext.Value
		if err := json.Unmarshal(input, &list); err != nil {
			return nil, chat.Invalid("input", "must be a text or a list of texts")
		}
		for i, v := range list {
			text := ""
			if kind := v.Kind(); kind == '0' || kind == '[' {
				return nil, chat.Unsupported("input", "tokens are not possible with this provider: send text")
			}
			if err := json.Unmarshal(v, &text); err != nil {
				return nil, chat.Invalid("input["+strconv.Itoa(i)+"]", "must be a text")
			}
			texts = append(texts, text)
		}
	}
	if len(texts) == 0 || slices.Contains(texts, "") {
		return nil, chat.Invalid("input", "must not be empty")
	}
	return texts, nil
}

// embeddingsResponse is a whole answer.
type embeddingsResponse struct {
	Object string          `json:"object"`
	Data   []embedding     `json:"data"`
	Model  string          `json:"model"`
	Usage  embeddingsUsage `json:"usage"`
}

type embedding struct {
	Object    string         `json:"object"`
	Index     int            `json:"index"`
	Embedding jsontext.Value `json:"embedding"`
}

type embeddingsUsage struct {
	PromptTokens int64 `json:"prompt_tokens"`
	TotalTokens  int64 `json:"total_tokens"`
}

// EncodeEmbeddings writes an answer for a client, its vectors in the form that
// the client asked for. The usage is a member that clients rely on: where the
// provider did not tell it, it is zero.
func EncodeEmbeddings(r *embed.Response, inBase64 bool) ([]byte, error) {
	out := embeddingsResponse{
		Object: "list", Data: make([]embedding, len(r.Vectors)), Model: r.Model,
		Usage: embeddingsUsage{PromptTokens: r.Tokens, TotalTokens: r.Tokens},
	}
	for i, v := range r.Vectors {
		if inBase64 {
			var err error
			if v, err = packed(v); err != nil {
				return nil, err
			}
		}
		out.Data[i] = embedding{Object: "embedding", Index: i, Embedding: v}
	}
	return chat.Marshal(out)
}

// packed is a vector as base64 of little-endian 32-bit floats, in quotes.
func packed(v jsontext.Value) (jsontext.Value, error) {
	var numbers []float32
	if err := json.Unmarshal(v, &numbers); err != nil {
		return nil, chat.BadUpstream("a vector in the provider's answer is no list of numbers")
	}
	raw := make([]byte, 0, 4*len(numbers))
	for _, n := range numbers {
		raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(n))
	}
	return jsontext.Value(`"` + base64.StdEncoding.EncodeToString(raw) + `"`), nil
}

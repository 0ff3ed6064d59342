package bedrock

import (
	"encoding/json/jsontext"
	json "encoding/json/v2"
	"strings"

	"github.com/citoroute/citoroute/internal/ai/chat"
	"github.com/citoroute/citoroute/internal/ai/embed"
)

// Bedrock has no protocol of its own for embeddings: InvokeModel takes what the
// maker of the model takes.

// titanRequest is the body for amazon.titan-embed-text-v1 and -v2.
type titanRequest struct {
	InputText  string `json:"inputText"`
	Dimensions int64  `json:"dimensions,omitzero"`
}

type titanResponse struct {
	Embedding jsontext.Value `json:"embedding"`
	Tokens    *int64         `json:"inputTextTokenCount"`
}

// cohereRequest is the body for cohere.embed-*.
type cohereRequest struct {
	Texts           []string `json:"texts"`
	InputType       string   `json:"input_type"`
	OutputDimension int64    `json:"output_dimension,omitzero"`
}

// cohereResponse has a list of vectors, or lists by the type of their numbers.
type cohereResponse struct {
	Embeddings jsontext.Value `json:"embeddings"`
}

// defaultInputType is what a vector is for where the client does not say: to be
// found.
const defaultInputType = "search_document"

// embedder is who made a model for embeddings; the zero value is nobody known.
type embedder uint8

const (
	titan1 embedder = iota + 1
	titan2
	cohere3
	cohere4
)

// embedderOf knows a model by its identifier, in any of the forms
// cohere.embed-v4:0, us.cohere.embed-v4:0 and arn:…/cohere.embed-v4:0.
func embedderOf(model string) embedder {
	switch {
	case strings.Contains(model, "amazon.titan-embed-text-v1"):
		return titan1
	case strings.Contains(model, "amazon.titan-embed-text-v2"):
		return titan2
	case strings.Contains(model, "cohere.embed-v4"):
		return cohere4
	case strings.Contains(model, "cohere.embed-"):
		return cohere3
	}
	return 0
}

// BuildEmbeddings writes the request for Bedrock. The error is a *chat.Error
// for what the model cannot do.
func BuildEmbeddings(r *embed.Request, o chat.Options) (*chat.Wire, error) {
	w := &chat.Wire{
		Model:   r.Model,
		Header:  []chat.Field{{Name: "content-type", Value: "application/json"}, {Name: "accept", Value: "application/json"}},
		Dropped: append([]string(nil), r.Ignored...),
	}
	if o.Model != "" {
		w.Model = o.Model
	}
	if err := checkModel(w.Model); err != nil {
		return nil, err
	}
	w.Path = "/model/" + escapeModel(w.Model) + "/invoke"
	maker := embedderOf(w.Model)
	if r.Dimensions > 0 && (maker == titan1 || maker == cohere3) {
		return nil, chat.Unsupported("dimensions", "the vectors of this model have one length only")
	}
	var body any
	switch maker {
	case titan1, titan2:
		if len(r.Texts) > 1 {
			return nil, chat.Unsupported("input", "this model takes one text at a time, not %d", len(r.Texts))
		}
		if r.InputType != "" {
			w.Drop("input_type")
		}
		body = titanRequest{InputText: r.Texts[0], Dimensions: r.Dimensions}
	case cohere3, cohere4:
		in := cohereRequest{Texts: r.Texts, InputType: r.InputType, OutputDimension: r.Dimensions}
		if in.InputType == "" {
			in.InputType = defaultInputType
		}
		body = in
	default:
		return nil, chat.Unsupported("model", "on Bedrock, embeddings are possible with amazon.titan-embed-text and cohere.embed models")
	}
	var err error
	w.Body, err = chat.Marshal(body)
	return w, err
}

// DecodeEmbeddings reads an answer. w is the request that it answers: its
// InputTokens stand for the usage that Cohere's models do not tell.
func DecodeEmbeddings(w *chat.Wire, body []byte) (*embed.Response, error) {
	out := &embed.Response{Model: shownModel(w.Model), Tokens: w.InputTokens, HasTokens: w.InputTokens > 0}
	var err error
	if maker := embedderOf(w.Model); maker == titan1 || maker == titan2 {
		var in titanResponse
		err = json.Unmarshal(body, &in)
		out.Vectors = []jsontext.Value{in.Embedding}
		if in.Tokens != nil {
			out.Tokens, out.HasTokens = chat.Count(*in.Tokens), true
		}
	} else {
		out.Vectors, err = cohereVectors(body)
	}
	if err != nil || len(out.Vectors) == 0 {
		return nil, chat.BadUpstream("the provider's answer holds no embeddings")
	}
	for _, v := range out.Vectors {
		if v.Kind() != '[' {
			return nil, chat.BadUpstream("the provider's answer holds no embeddings")
		}
	}
	return out, nil
}

func cohereVectors(body []byte) ([]jsontext.Value, error) {
	var in cohereResponse
	if err := json.Unmarshal(body, &in); err != nil {
		return nil, err
	}
	if in.Embeddings.Kind() == '{' {
		var byType struct {
			Float []jsontext.Value `json:"float"`
		}
		err := json.Unmarshal(in.Embeddings, &byType)
		return byType.Float, err
	}
	var vectors []jsontext.Value
	err := json.Unmarshal(in.Embeddings, &vectors)
	return vectors, err
}

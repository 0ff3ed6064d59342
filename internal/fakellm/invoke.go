package fakellm

import (
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// titanRequest is what Amazon's models for embeddings take.
type titanRequest struct {
	InputText      string   `json:"inputText"`
	Dimensions     *int     `json:"dimensions"`
	Normalize      *bool    `json:"normalize"`
	EmbeddingTypes []string `json:"embeddingTypes"`
}

// cohereRequest is what Cohere's models for embeddings take.
type cohereRequest struct {
	Texts           []string `json:"texts"`
	InputType       string   `json:"input_type"`
	Truncate        string   `json:"truncate"`
	EmbeddingTypes  []string `json:"embedding_types"`
	OutputDimension *int     `json:"output_dimension"`
	MaxTokens       *int     `json:"max_tokens"`
}

// extraneous is Bedrock's sentence about a field that a model does not have.
const extraneous = "Malformed input request: #: extraneous key [%s] is not permitted, please reformat your input and try again."

// invoke answers POST /model/ID/invoke: embeddings, in the form of the model's maker.
func (s *Server) invoke(w http.ResponseWriter, r *http.Request) {
	p := prompt{model: r.PathValue("id")}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody))
	if err == nil {
		err = authenticate(r, body, s.opts.Now())
	}
	var out any
	var tokens int
	if err == nil {
		out, tokens, err = embedFor(p.model, body)
	}
	if err != nil {
		bedrock{}.fail(w, asFailure(err))
		s.ledger.book("bedrock", p, outcomeRejected, usage{})
		return
	}
	w.Header().Set("X-Amzn-Requestid", "fake-"+strconv.FormatInt(s.count.Add(1), 10))
	w.Header().Set("X-Amzn-Bedrock-Input-Token-Count", strconv.Itoa(tokens))
	_ = writeJSON(w, http.StatusOK, out) // a client that left needs no answer
	s.ledger.book("bedrock", p, outcomeOK, usage{input: tokens})
}

// embedFor returns the answer of a model and the tokens that it cost.
func embedFor(model string, body []byte) (any, int, error) {
	switch {
	case strings.Contains(model, "amazon.titan-embed-text-v1"):
		return embedTitan(body, nil)
	case strings.Contains(model, "amazon.titan-embed-text-v2"):
		return embedTitan(body, []int{256, 512, 1024})
	case strings.Contains(model, "cohere.embed-v4"):
		return embedCohere(body, []int{256, 512, 1024, 1536})
	case strings.Contains(model, "cohere.embed-"):
		return embedCohere(body, nil)
	}
	return nil, 0, failure{status: http.StatusNotFound, message: "Model not found."}
}

// embedTitan takes one text; sizes are the lengths of vector to choose from.
func embedTitan(body []byte, sizes []int) (any, int, error) {
	var req titanRequest
	if err := decode(body, &req, extraneous); err != nil {
		return nil, 0, err
	}
	size, err := chosenSize(req.Dimensions, sizes, "dimensions")
	switch {
	case err != nil:
		return nil, 0, err
	case sizes == nil && (req.Normalize != nil || req.EmbeddingTypes != nil):
		return nil, 0, refuse(extraneous, "normalize")
	case req.InputText == "":
		return nil, 0, refuse("Malformed input request: #/inputText: expected minLength: 1, actual: 0, please reformat your input and try again.")
	}
	tokens := len(words(req.InputText))
	return map[string]any{"embedding": vector(req.InputText, size), "inputTextTokenCount": tokens}, tokens, nil
}

// embedCohere takes up to 96 texts and does not say what they cost.
func embedCohere(body []byte, sizes []int) (any, int, error) {
	var req cohereRequest
	if err := decode(body, &req, extraneous); err != nil {
		return nil, 0, err
	}
	size, err := chosenSize(req.OutputDimension, sizes, "output_dimension")
	switch {
	case err != nil:
		return nil, 0, err
	case len(req.Texts) == 0 || len(req.Texts) > 96:
		return nil, 0, refuse("Malformed input request: #/texts: expected 1 to 96 items, please reformat your input and try again.")
	case !slices.Contains([]string{"search_document", "search_query", "classification", "clustering"}, req.InputType):
		return nil, 0, refuse("Malformed input request: #/input_type: is not a valid enum value, please reformat your input and try again.")
	}
	tokens := 0
	vectors := make([]any, len(req.Texts))
	for i, text := range req.Texts {
		tokens += len(words(text))
		vectors[i] = vector(text, size)
	}
	var embeddings any = vectors
	kind := "embeddings_floats"
	if sizes != nil { // the newer models answer by type
		embeddings, kind = map[string]any{"float": vectors}, "embeddings_by_type"
	}
	return map[string]any{"id": "fake", "response_type": kind, "embeddings": embeddings, "texts": req.Texts}, tokens, nil
}

// chosenSize is the length of the vectors: a short one where nobody asks.
func chosenSize(asked *int, sizes []int, field string) (int, error) {
	switch {
	case asked == nil:
		return 8, nil
	case sizes == nil:
		return 0, refuse(extraneous, field)
	case !slices.Contains(sizes, *asked):
		return 0, refuse("Malformed input request: #/%s: %d is not a valid enum value, please reformat your input and try again.", field, *asked)
	}
	return *asked, nil
}

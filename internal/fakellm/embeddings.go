package fakellm

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"io"
	"math"
	"net/http"
	"slices"
	"strings"
)

// models answers GET /v1/models.
func (s *Server) models(w http.ResponseWriter, r *http.Request) {
	if err := bearer(r); err != nil {
		openAI{}.fail(w, asFailure(err))
		return
	}
	var data []any
	for _, id := range []string{"fake-large", "fake-small", "fake-embedding"} {
		data = append(data, map[string]any{"id": id, "object": "model", "created": created, "owned_by": "fake"})
	}
	_ = writeJSON(w, http.StatusOK, map[string]any{"object": "list", "data": data}) // a client that left needs no answer
}

type embeddingRequest struct {
	Model      string          `json:"model"`
	Input      json.RawMessage `json:"input"`
	Format     string          `json:"encoding_format"`
	Dimensions int             `json:"dimensions"`
	User       string          `json:"user"`
}

// embeddings answers POST /v1/embeddings.
func (s *Server) embeddings(w http.ResponseWriter, r *http.Request) {
	req, inputs, err := readEmbedding(r)
	p := prompt{model: req.Model}
	if err != nil {
		openAI{}.fail(w, asFailure(err))
		s.ledger.book("openai", p, outcomeRejected, usage{})
		return
	}
	var u usage
	data := make([]any, 0, len(inputs))
	for i, in := range inputs {
		u.input += len(words(in))
		v := vector(in, req.Dimensions)
		var embedding any = v
		if req.Format == "base64" {
			embedding = littleEndian(v)
		}
		data = append(data, map[string]any{"object": "embedding", "index": i, "embedding": embedding})
	}
	body := map[string]any{
		"object": "list", "data": data, "model": req.Model,
		"usage": map[string]any{"prompt_tokens": u.input, "total_tokens": u.input},
	}
	_ = writeJSON(w, http.StatusOK, body) // a client that left needs no answer
	s.ledger.book("openai", p, outcomeOK, u)
}

func readEmbedding(r *http.Request) (embeddingRequest, []string, error) {
	req := embeddingRequest{Format: "float", Dimensions: 8}
	if err := bearer(r); err != nil {
		return req, nil, err
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody))
	if err != nil {
		return req, nil, refuse("body: %v", err)
	}
	if err := decode(body, &req, "Unrecognized request argument supplied: %s"); err != nil {
		return req, nil, err
	}
	inputs, ok := embeddingInputs(req.Input)
	switch {
	case !ok:
		return req, nil, refuse("'$.input' is invalid: expected a string, an array of strings, or an array or arrays of tokens.")
	case req.Model == "":
		return req, nil, refuse("you must provide a model parameter")
	case len(inputs) == 0 || slices.Contains(inputs, ""):
		return req, nil, refuse("'$.input' is invalid: it is empty.")
	case req.Format != "float" && req.Format != "base64":
		return req, nil, refuse("Invalid value: '%s'. Supported values are: 'float' and 'base64'.", req.Format)
	case req.Dimensions < 1 || req.Dimensions > 4096:
		return req, nil, refuse("Invalid 'dimensions': want 1 to 4096.")
	}
	return req, inputs, nil
}

// embeddingInputs reads the inputs in any of their forms, each as a text. A
// list of tokens becomes their numbers, one word each.
func embeddingInputs(raw json.RawMessage) (inputs []string, ok bool) {
	if one, ok := asString(raw); ok {
		return []string{one}, true
	}
	if json.Unmarshal(raw, &inputs) == nil {
		return inputs, true
	}
	var tokens []int
	if json.Unmarshal(raw, &tokens) == nil {
		return []string{numbers(tokens)}, true
	}
	var lists [][]int
	if json.Unmarshal(raw, &lists) != nil {
		return nil, false
	}
	inputs = nil
	for _, list := range lists {
		inputs = append(inputs, numbers(list))
	}
	return inputs, true
}

func numbers(tokens []int) string { return strings.Trim(fmt.Sprint(tokens), "[]") }

// vector makes up a unit vector that depends on the text alone.
func vector(text string, dimensions int) []float32 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(text)) // a hash takes every write
	state := h.Sum64()
	out := make([]float32, dimensions)
	var sum float64
	for i := range out {
		state = state*6364136223846793005 + 1442695040888963407
		v := float64(int64(state>>11))/(1<<52) - 1
		out[i] = float32(v)
		sum += v * v
	}
	for i := range out {
		out[i] = float32(float64(out[i]) / math.Sqrt(sum))
	}
	return out
}

func littleEndian(v []float32) string {
	b := make([]byte, 0, 4*len(v))
	for _, f := range v {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(f))
	}
	return base64.StdEncoding.EncodeToString(b)
}

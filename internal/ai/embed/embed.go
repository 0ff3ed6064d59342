// Package embed is the model between client protocols and providers for
// embeddings: texts in, vectors out. Package chat is the same for
// conversations.
//
// It imports the standard library only.
package embed

import "encoding/json/jsontext"

// Request asks for the vectors of some texts.
type Request struct {
	// Model is what the client asked for.
	Model string
	// Texts are one or more, none of them empty.
	Texts []string
	// Dimensions is the length of a vector; 0 is the model's own.
	Dimensions int64
	// InputType is Cohere's word for what the vectors are for; it may be empty.
	InputType string
	// Base64 asks for vectors as base64 of little-endian 32-bit floats.
	Base64 bool
	// Ignored names parameters that the client set and that only OpenAI knows.
	Ignored []string
}

// Response holds the vectors, in the order of the texts.
type Response struct {
	// Model is what answered.
	Model string
	// Vectors are JSON arrays of numbers, as the provider wrote them.
	Vectors []jsontext.Value
	// Tokens is what the texts cost; HasTokens says that the provider told.
	Tokens    int64
	HasTokens bool
}

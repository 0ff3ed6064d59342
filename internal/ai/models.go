package ai

import (
	"encoding/json/v2"
	"time"
)

// Model is one of the models that a client may ask for.
type Model struct {
	ID string
	// Owner is who offers it; Created is in Unix seconds.
	Owner   string
	Created int64
}

// openAIModel is a model in the protocol of OpenAI.
type openAIModel struct {
	ID      string `json:"id"`
	Object  string `json:"object"`
	Created int64  `json:"created"`
	OwnedBy string `json:"owned_by"`
}

// anthropicModel is a model in the protocol of Anthropic.
type anthropicModel struct {
	Type        string `json:"type"`
	ID          string `json:"id"`
	DisplayName string `json:"display_name"`
	CreatedAt   string `json:"created_at"`
}

// EncodeModel writes one model the way a client's protocol does.
func EncodeModel(p Protocol, m Model) []byte { return encodeModels(modelOf(p, m)) }

// EncodeModels writes a whole list of models the way a client's protocol does.
func EncodeModels(p Protocol, list []Model) []byte {
	data := make([]any, 0, len(list))
	for _, m := range list {
		data = append(data, modelOf(p, m))
	}
	if p != Messages {
		return encodeModels(struct {
			Object string `json:"object"`
			Data   []any  `json:"data"`
		}{"list", data})
	}
	out := struct {
		Data    []any   `json:"data"`
		HasMore bool    `json:"has_more"`
		FirstID *string `json:"first_id"`
		LastID  *string `json:"last_id"`
	}{Data: data}
	if len(list) > 0 {
		out.FirstID, out.LastID = &list[0].ID, &list[len(list)-1].ID
	}
	return encodeModels(out)
}

func modelOf(p Protocol, m Model) any {
	if p == Messages {
		return anthropicModel{Type: "model", ID: m.ID, DisplayName: m.ID, CreatedAt: time.Unix(m.Created, 0).UTC().Format(time.RFC3339)}
	}
	return openAIModel{ID: m.ID, Object: "model", Created: m.Created, OwnedBy: m.Owner}
}

func encodeModels(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil { // strings and numbers always marshal
		return nil
	}
	return b
}

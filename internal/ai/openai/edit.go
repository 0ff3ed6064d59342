package openai

import (
	json "encoding/json/v2"
	"slices"

	"github.com/citoroute/citoroute/internal/ai/chat"
)

// Edit returns body with model in place of the model that the client named
// (where model is not empty) and, with meter, so that a stream ends with the
// usage. All other bytes stay as they are. h must be the Head of that body. What
// is changed is written into mem, where that has room.
func (h *Head) Edit(mem, body []byte, model string, meter bool) ([]byte, error) {
	var room [2]edit
	var text [64]byte
	edits := room[:0]
	if model != "" && model != h.Model {
		if quoted := chat.AppendQuote(text[:0], model); h.model.end > 0 {
			edits = append(edits, edit{h.model, quoted})
		} else {
			edits = append(edits, h.insert(`"model":`+string(quoted)))
		}
	}
	if meter && h.Stream && !h.IncludeUsage {
		if h.streamOptions.end > 0 {
			o := streamOptions{}
			if err := json.Unmarshal(body[h.streamOptions.start:h.streamOptions.end], &o); err != nil {
				return nil, err
			}
			o.IncludeUsage = true
			b, err := json.Marshal(o)
			if err != nil {
				return nil, err
			}
			edits = append(edits, edit{h.streamOptions, b})
		} else {
			edits = append(edits, h.insert(`"stream_options":{"include_usage":true}`))
		}
	}
	return splice(mem, body, edits), nil
}

type edit struct {
	at   span
	text []byte
}

// insert puts a member first in the object.
func (h *Head) insert(member string) edit {
	if !h.empty {
		member += ","
	}
	return edit{span{h.object, h.object}, []byte(member)}
}

// splice carries out edits, which must not overlap.
func splice(mem, body []byte, edits []edit) []byte {
	if len(edits) == 0 {
		return body
	}
	if len(edits) == 2 && edits[1].at.start < edits[0].at.start {
		edits[0], edits[1] = edits[1], edits[0]
	}
	size := len(body)
	for _, e := range edits {
		size += len(e.text)
	}
	out := slices.Grow(mem[:0], size)
	from := 0
	for _, e := range edits {
		out = append(out, body[from:e.at.start]...)
		out = append(out, e.text...)
		from = e.at.end
	}
	return append(out, body[from:]...)
}

package responses

import (
	"bytes"
	"cmp"
	"encoding/json/jsontext"
	"slices"

	"github.com/citoroute/citoroute/internal/ai/chat"
)

// harmless are members whose loss changes nothing: nothing is stored, so that
// there are no identifiers, thoughts are shown wherever there are any, and tools
// whose calls could be limited are refused.
var harmless = []string{
	"store", "metadata", "prompt_cache_key", "prompt_cache_retention", "stream_options", "max_tool_calls",
	"reasoning.summary", "reasoning.generate_summary",
	"message.id", "message.status", "reasoning.id", "reasoning.status",
	"function_call.id", "function_call.status", "function_call_output.id", "function_call_output.status",
	"output_text.logprobs",
}

// harmlessHere says that a parameter of the request is harmless, or is with this
// value: the rest of what include can ask for is of tools that are refused.
func harmlessHere(name string, v jsontext.Value) bool {
	switch name {
	case "include":
		return !bytes.Contains(v, []byte("logprobs"))
	case "top_logprobs":
		return string(v) == "0"
	case "truncation":
		return string(v) == `"disabled"`
	}
	return slices.Contains(harmless, name)
}

// ignore notes what an item has that no other provider knows, or that its type
// does not have.
func (it *item) ignore(out *chat.Request) error {
	kind := cmp.Or(it.Type, "message")
	for _, m := range [...]struct {
		there bool
		name  string
		of    []string
	}{
		{it.Role != "", "role", []string{"message"}},
		{given(it.Content), "content", []string{"message", "reasoning"}},
		{it.CallID != "", "call_id", []string{"function_call", "function_call_output"}},
		{it.Name != "", "name", []string{"function_call"}},
		{it.Arguments != "", "arguments", []string{"function_call"}},
		{given(it.Output), "output", []string{"function_call_output"}},
		{len(it.Summary) > 0, "summary", []string{"reasoning"}},
		{it.EncryptedContent != "", "encrypted_content", []string{"reasoning"}},
	} {
		out.IgnoreIf(m.there && !slices.Contains(m.of, kind), kind+"."+m.name)
	}
	return out.IgnoreMembers(kind, it.Rest, harmless...)
}

// given says that a raw member is there and not null.
func given(v jsontext.Value) bool { return len(v) > 0 && v.Kind() != 'n' }

// ignore notes what a part, which has become b, has that no other provider
// knows, or that its type does not have.
func (p *part) ignore(b *chat.Block, out *chat.Request) error {
	text, image, file := b.Kind == chat.Text, p.Type == "input_image", p.Type == "input_file"
	for _, m := range [...]struct {
		lost bool
		name string
	}{
		{p.Text != "" && (!text || p.Type == "refusal"), "text"},
		{p.Refusal != "" && p.Type != "refusal", "refusal"},
		{p.ImageURL != "" && !image, "image_url"},
		{p.Detail != "" && p.Detail != "auto", "detail"},
		{p.FileData != "" && (!file || p.FileURL != ""), "file_data"},
		{p.FileURL != "" && !file, "file_url"},
		{p.Filename != "" && b.Kind != chat.Document, "filename"},
	} {
		out.IgnoreIf(m.lost, p.Type+"."+m.name)
	}
	return out.IgnoreMembers(p.Type, p.Rest, harmless...)
}

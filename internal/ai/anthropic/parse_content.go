package anthropic

import (
	"encoding/json/jsontext"
	json "encoding/json/v2"
	"slices"
	"strconv"
	"strings"

	"github.com/citoroute/citoroute/internal/ai/chat"
)

// contentOf reads a string or a list of blocks. What out ignores of them is put
// there.
func contentOf(at string, v jsontext.Value, out *chat.Request) ([]chat.Block, error) {
	switch {
	case len(v) == 0 || v.Kind() == 'n':
		return nil, nil
	case v.Kind() == '"':
		var s string
		if err := json.Unmarshal(v, &s); err != nil {
			return nil, chat.BadJSON(err)
		}
		if strings.TrimSpace(s) == "" {
			return nil, nil
		}
		return []chat.Block{{Kind: chat.Text, Text: s}}, nil
	}
	var list []clientBlock
	if err := json.Unmarshal(v, &list); err != nil {
		return nil, oddBlock(at, v)
	}
	var blocks []chat.Block
	for i := range list {
		b, err := parseBlock(at+"["+strconv.Itoa(i)+"]", &list[i].block, out)
		if err != nil {
			return nil, err
		}
		if err := ignore(out, list[i].Type, list[i].Rest); err != nil {
			return nil, err
		}
		if b.Kind == chat.Text && strings.TrimSpace(b.Text) == "" {
			continue
		}
		if mark := present(list[i].CacheControl); mark != nil {
			b.Cache = mark
		}
		blocks = append(blocks, b)
	}
	return blocks, nil
}

// oddBlock is the error for a list with a block that has another form than those
// that we know: of its type, where only Anthropic has that.
func oddBlock(at string, v jsontext.Value) error {
	var list []jsontext.Value
	if err := json.Unmarshal(v, &list); err != nil {
		return chat.Invalid(at, "must be a string or a list of content blocks")
	}
	for i, raw := range list {
		var typed struct {
			Type string `json:"type"`
		}
		at := at + "[" + strconv.Itoa(i) + "]"
		if json.Unmarshal(raw, &block{}) == nil {
			continue
		}
		if json.Unmarshal(raw, &typed) == nil && !slices.Contains(blockTypes, typed.Type) {
			return chat.Unsupported(at+".type", "%q is not possible with this provider", typed.Type)
		}
		return chat.Invalid(at, "has a member of the wrong type")
	}
	return nil
}

func parseBlock(at string, in *block, out *chat.Request) (chat.Block, error) {
	switch in.Type {
	case typeText:
		return chat.Block{Kind: chat.Text, Text: value(in.Text)}, nil
	case typeThinking:
		return chat.Block{Kind: chat.Thinking, Text: value(in.Thinking), Signature: value(in.Signature)}, nil
	case typeRedactedThinking:
		return chat.Block{Kind: chat.RedactedThinking, Text: in.Data}, nil
	case typeToolUse:
		return parseCall(at, in)
	case typeToolResult:
		content, err := contentOf(at+".content", in.Content, out)
		result := chat.Block{Kind: chat.ToolResult, ID: in.ToolUseID, Content: content, Failed: in.IsError}
		for i := range content { // what is cached is the result as a whole
			if content[i].Cache != nil {
				result.Cache, content[i].Cache = content[i].Cache, nil
			}
		}
		return result, err
	case typeImage, typeDocument:
		return parseMedia(at, in)
	}
	return chat.Block{}, chat.Unsupported(at+".type", "%q is not possible with this provider", in.Type)
}

func parseCall(at string, in *block) (chat.Block, error) {
	out := chat.Block{Kind: chat.ToolUse, ID: in.ID, Name: in.Name, Input: in.Input}
	switch {
	case in.ID == "":
		return out, chat.Invalid(at+".id", "is required")
	case in.Name == "":
		return out, chat.Invalid(at+".name", "is required")
	case in.Input.Kind() != '{':
		return out, chat.Invalid(at+".input", "must be an object")
	}
	return out, nil
}

func parseMedia(at string, in *block) (chat.Block, error) {
	out := chat.Block{Kind: chat.Image}
	if in.Type == typeDocument {
		out.Kind = chat.Document
	}
	if in.Source == nil {
		return out, chat.Invalid(at+".source", "is required")
	}
	out.Media = chat.Media{Type: strings.ToLower(in.Source.MediaType), Data: in.Source.Data, Name: in.Title}
	switch in.Source.Type {
	case "base64":
		if !chat.IsBase64(in.Source.Data) {
			return out, chat.Invalid(at+".source.data", "is not valid base64")
		}
	case "url":
		if scheme, _, ok := strings.Cut(in.Source.URL, "://"); !ok || !slices.Contains([]string{"https", "http", "s3"}, scheme) {
			return out, chat.Invalid(at+".source.url", "must be an https, http or s3 URL")
		}
		out.Media.URL = in.Source.URL
	case "text":
		if strings.TrimSpace(in.Source.Data) == "" {
			return out, chat.Invalid(at+".source.data", "must not be empty")
		}
		out.Media.Data = encodeText(in.Source.Data)
	default:
		return out, chat.Unsupported(at+".source.type", "%q is not possible with this provider", in.Source.Type)
	}
	return out, nil
}

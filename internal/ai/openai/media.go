package openai

import (
	"cmp"
	"net/url"
	"strings"

	"github.com/citoroute/citoroute/internal/ai/chat"
)

// Media reads a data URI (RFC 2397, base64 only; without a type it is plain text) or a
// reference to an image or document into a block. It fetches nothing. at names the
// parameter for the error; name is a document's title.
func Media(at, uri, name string) (chat.Block, error) {
	if rest, ok := cutPrefixFold(uri, "data:"); ok {
		return dataURI(at, rest, name)
	}
	u, err := url.Parse(uri)
	if err != nil || u.Host == "" {
		return chat.Block{}, chat.Invalid(at, "must be a data URI or an https, http or s3 URL")
	}
	switch u.Scheme {
	case "https", "http", "s3":
	default:
		return chat.Block{}, chat.Invalid(at, "must be a data URI or an https, http or s3 URL")
	}
	b := chat.Block{Kind: chat.Image, Media: chat.Media{URL: uri, Name: name}}
	if strings.HasSuffix(strings.ToLower(u.Path), ".pdf") {
		b.Kind, b.Media.Type = chat.Document, "application/pdf"
	}
	return b, nil
}

func dataURI(at, rest, name string) (chat.Block, error) {
	head, data, ok := strings.Cut(rest, ",")
	if !ok {
		return chat.Block{}, chat.Invalid(at, "the data URI has no comma")
	}
	fields := strings.Split(strings.ToLower(head), ";")
	if fields[len(fields)-1] != "base64" {
		return chat.Block{}, chat.Invalid(at, "the data URI must be base64")
	}
	media := chat.Media{Type: cmp.Or(strings.TrimSpace(fields[0]), "text/plain"), Data: data, Name: name}
	if !chat.IsBase64(data) {
		return chat.Block{}, chat.Invalid(at, "the data URI's base64 is not valid")
	}
	switch media.Type {
	case "image/jpg":
		media.Type = "image/jpeg"
		fallthrough
	case "image/png", "image/jpeg", "image/gif", "image/webp":
		return chat.Block{Kind: chat.Image, Media: media}, nil
	}
	if strings.HasPrefix(media.Type, "image/") {
		return chat.Block{}, chat.Unsupported(at, "%s is not one of image/png, image/jpeg, image/gif, image/webp", media.Type)
	}
	return chat.Block{Kind: chat.Document, Media: media}, nil
}

// File reads a document given by value: a data URI, or base64 that is taken
// for a PDF. at names the parameter that holds it, for the error.
func File(at, data, name string) (chat.Block, error) {
	if data == "" {
		return chat.Block{}, chat.Unsupported(at+".file_id", "is not possible with this provider: send file_data")
	}
	if _, ok := cutPrefixFold(data, "data:"); !ok {
		data = "data:application/pdf;base64," + data
	}
	return Media(at+".file_data", data, name)
}

func cutPrefixFold(s, prefix string) (string, bool) {
	if len(s) < len(prefix) || !strings.EqualFold(s[:len(prefix)], prefix) {
		return s, false
	}
	return s[len(prefix):], true
}

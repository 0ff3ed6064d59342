package fakellm

import (
	"encoding/json"
	"regexp"
	"slices"
)

// converseMedia is an image, or with a name a document.
type converseMedia struct {
	Name   *string `json:"name"`
	Format string  `json:"format"`
	Source struct {
		Bytes      []byte `json:"bytes"`
		S3Location *struct {
			URI string `json:"uri"`
		} `json:"s3Location"`
	} `json:"source"`
}

// mediaUnknown is what Bedrock says of a member that it does not know.
const mediaUnknown = "Malformed input request: extraneous key [%s] is not permitted"

func readMedia(raw json.RawMessage) (*converseMedia, error) {
	var m converseMedia
	if err := decode(raw, &m, mediaUnknown); err != nil {
		return nil, err
	}
	if (len(m.Source.Bytes) > 0) == (m.Source.S3Location != nil) {
		return nil, refuse("The source of an image or document must set one of the following keys: bytes, s3Location.")
	}
	return &m, nil
}

// checkImage checks an image, where there is one.
func checkImage(raw json.RawMessage) error {
	if isNull(raw) {
		return nil
	}
	m, err := readMedia(raw)
	if err != nil {
		return err
	}
	if !slices.Contains([]string{"png", "jpeg", "gif", "webp"}, m.Format) {
		return refuse("1 validation error detected: Value '%s' at 'image.format' failed to satisfy constraint: Member must satisfy enum value set: [gif, jpeg, png, webp]", m.Format)
	}
	return nil
}

// documentName has no two white space characters in a row.
var documentName = regexp.MustCompile(`^[a-zA-Z0-9()\[\]-]+(\s[a-zA-Z0-9()\[\]-]+)*$`)

// checkDocument checks a document, where there is one; names are those of the
// documents before it.
func checkDocument(raw json.RawMessage, names map[string]bool) error {
	if isNull(raw) {
		return nil
	}
	m, err := readMedia(raw)
	switch {
	case err != nil:
		return err
	case m.Name == nil || len(*m.Name) > 200 || !documentName.MatchString(*m.Name):
		return refuse("The format of the document name is invalid: only letters, digits, single spaces, hyphens, parentheses and square brackets are permitted.")
	case names[*m.Name]:
		return refuse("The request has two documents named %q: the names of documents must be unique.", *m.Name)
	case !slices.Contains([]string{"pdf", "csv", "doc", "docx", "xls", "xlsx", "html", "txt", "md"}, m.Format):
		return refuse("1 validation error detected: Value '%s' at 'document.format' failed to satisfy constraint: Member must satisfy enum value set", m.Format)
	}
	names[*m.Name] = true
	return nil
}

// checkCachePoint checks a cache point, where there is one.
func checkCachePoint(raw json.RawMessage) error {
	if isNull(raw) {
		return nil
	}
	var c struct {
		Type string  `json:"type"`
		TTL  *string `json:"ttl"`
	}
	if err := decode(raw, &c, mediaUnknown); err != nil {
		return err
	}
	if c.Type != "default" || c.TTL != nil && *c.TTL != "5m" && *c.TTL != "1h" {
		return refuse("1 validation error detected: a cachePoint's type is default, and its ttl 5m or 1h")
	}
	return nil
}

// checkMedia checks what the messages have beside text and tools.
func (r *converseRequest) checkMedia() error {
	names := map[string]bool{}
	for i, m := range r.Messages {
		text, document := false, false
		for _, b := range m.Content {
			text, document = text || b.Text != nil, document || !isNull(b.Document)
			for _, err := range []error{checkImage(b.Image), checkDocument(b.Document, names), checkCachePoint(b.CachePoint)} {
				if err != nil {
					return err
				}
			}
		}
		if document && !text {
			return refuse("The message at messages.%d has a document and no text: add a text block to the message.", i)
		}
	}
	return nil
}

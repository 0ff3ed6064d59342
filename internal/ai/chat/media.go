package chat

import (
	"encoding/base64"
	"io"
	"strings"
)

// IsBase64 says whether s is the base64 of something.
func IsBase64(s string) bool {
	n, err := io.Copy(io.Discard, base64.NewDecoder(base64.StdEncoding, strings.NewReader(s)))
	return err == nil && n > 0
}

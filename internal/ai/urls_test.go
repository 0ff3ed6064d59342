package ai

import (
	"errors"
	"strings"
	"testing"

	"github.com/citoroute/citoroute/internal/ai/chat"
)

// TestLM007_URLsAreRefused: a backend that takes no URLs is shown none, whatever
// they look like and whatever part of a request they are in.
func TestLM007_URLsAreRefused(t *testing.T) {
	parts := map[Protocol][]string{
		Chat: {
			`{"type":"image_url","image_url":{"url":"URL"}}`, `{"type":"image_url","image_url":"URL"}`, `{"type":"image_url","image_url":{"u\u0072l":"URL"}}`,
			`{"type":"file","file":{"file_data":"URL"}}`, `{"type":"video_url","video_url":{"url":"URL"}}`, `{"type":"input_audio","input_audio":{"data":"URL"}}`,
		},
		Messages: {
			`{"type":"image","source":{"type":"url","url":"URL"}}`,
			`{"type":"tool_result","tool_use_id":"1","content":[{"type":"document","source":{"type":"url","url":"URL"}}]}`,
		},
		Responses: {`{"type":"input_image","image_url":"URL"}`, `{"type":"input_file","file_url":"URL"}`},
	}
	for _, url := range []string{
		"http://169.254.169.254/", "file:///etc/passwd", "file:/etc/passwd", "http://[::ffff:127.0.0.1]/", `http://a\\@127.0.0.1/`,
		"http://127.0.0.1#@ok.com", "http://2130706433/", "https://ok.example/x.png", "HTTP://localhost", " data:image/png;base64,AAAA", "s3://bucket/x",
	} {
		urlsRefused(t, parts, url, true)
	}
	for _, content := range []string{"data:image/png;base64,AAAA", "DATA:image/png;base64,AAAA", ""} {
		urlsRefused(t, parts, content, false)
	}
	for _, body := range []string{
		`{"model":"m","messages":[{"role":"user","content":"see http://127.0.0.1/ and \"url\":\"http://127.0.0.1/\""}]}`,
		`{"model":"m","messages":[{"role":"user","content":[{"type":"text","text":"http://127.0.0.1/"},{"type":"image","source":{"type":"base64","data":"AAAA"}}]}]}`,
		`{"model":"m","messages":[],"tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object","properties":{"url":{"type":"string"}},"required":["url"]}}}]}`,
		`{"model":"m","messages":[{"role":"assistant","tool_calls":[{"id":"1","function":{"name":"f","arguments":"{\"url\":\"http://127.0.0.1/\"}"}}]}]}`,
	} {
		if err := call(t, Chat, body).RefuseURLs(); err != nil {
			t.Errorf("%s: %v", body, err)
		}
	}
}

func urlsRefused(t *testing.T, parts map[Protocol][]string, url string, want bool) {
	t.Helper()
	for protocol, list := range parts {
		for _, part := range list {
			body := `{"model":"m","messages":[{"role":"user","content":[` + strings.Replace(part, "URL", url, 1) + `]}]}`
			err := call(t, protocol, body).RefuseURLs()
			if e, ok := errors.AsType[*chat.Error](err); ok != want || ok && (e.Status != 400 || e.Code != chat.CodeUnsupported) {
				t.Errorf("%s: %v", body, err)
			}
		}
	}
}

func call(t *testing.T, p Protocol, body string) *Call {
	t.Helper()
	c, err := Parse(p, []byte(body))
	if err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	return c
}

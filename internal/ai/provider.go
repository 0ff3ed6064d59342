package ai

import (
	"github.com/citoroute/citoroute/internal/ai/anthropic"
	"github.com/citoroute/citoroute/internal/ai/bedrock"
	"github.com/citoroute/citoroute/internal/ai/chat"
	"github.com/citoroute/citoroute/internal/ai/openai"
)

// Provider names a provider, as the configuration does.
type Provider string

// The providers.
const (
	OpenAI    Provider = "openai"
	Anthropic Provider = "anthropic"
	Bedrock   Provider = "bedrock"
)

// provider is what a provider's package offers.
type provider struct {
	build  func(*chat.Wire, *chat.Request, chat.Options) error
	decode func(*chat.Wire, []byte, *chat.Response) error
	stream func(*chat.Wire) decoder
	fail   func(status int, header func(string) string, body []byte) *chat.Error
}

// decoder reads a provider's stream.
type decoder interface {
	Write(p []byte, emit func(chat.Event) error) error
	Close(emit func(chat.Event) error) error
}

// providerOf is the one place that knows every provider.
func providerOf(p Provider) (provider, bool) {
	switch p {
	case OpenAI:
		return provider{
			build: openai.BuildChat, decode: openai.DecodeChat,
			stream: func(w *chat.Wire) decoder { return openai.NewChatDecoder(w) },
			fail:   func(status int, _ func(string) string, body []byte) *chat.Error { return openai.Error(status, body) },
		}, true
	case Anthropic:
		return provider{
			build: anthropic.Build, decode: anthropic.Decode,
			stream: func(w *chat.Wire) decoder { return anthropic.NewDecoder(w) },
			fail:   func(status int, _ func(string) string, body []byte) *chat.Error { return anthropic.Error(status, body) },
		}, true
	case Bedrock:
		return provider{
			build: bedrock.Build, decode: bedrock.Decode,
			stream: func(w *chat.Wire) decoder { return bedrock.NewDecoder(w) },
			fail: func(status int, header func(string) string, body []byte) *chat.Error {
				return bedrock.Error(status, header("x-amzn-errortype"), body)
			},
		}, true
	}
	return provider{}, false
}

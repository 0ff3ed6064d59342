package e2e

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

var _ = Describe("An LLMRoute", func() {
	It("answers chat completions, whole and as a stream", func(ctx SpecContext) {
		namespace := cluster.namespace(ctx)
		cluster.apply(ctx, namespace, "llm.yaml")
		cluster.deploymentsReady(ctx, namespace)
		url := "http://" + cluster.gatewayAddress(ctx, namespace, "edge") + "/v1/chat/completions"

		var answer struct {
			Object  string `json:"object"`
			Choices []struct {
				Message struct{ Content string } `json:"message"`
			} `json:"choices"`
		}
		Eventually(func(g Gomega) {
			status, _, body, err := chat(ctx, url, false)
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(status).To(Equal(http.StatusOK), body)
			g.Expect(json.Unmarshal([]byte(body), &answer)).To(Succeed())
		}).WithContext(ctx).Should(Succeed())
		Expect(answer.Object).To(Equal("chat.completion"))
		Expect(answer.Choices).To(HaveLen(1))
		whole := answer.Choices[0].Message.Content
		Expect(whole).To(ContainSubstring("tell me of gateways"))

		status, contentType, body, err := chat(ctx, url, true)
		Expect(err).NotTo(HaveOccurred())
		Expect(status).To(Equal(http.StatusOK), body)
		Expect(contentType).To(HavePrefix("text/event-stream"))
		streamed, done := joinStream(body)
		Expect(streamed).To(Equal(whole))
		Expect(done).To(BeTrue(), "the stream ends with [DONE]")
	})
})

// chat sends one chat completion request and returns status, content type and body.
func chat(ctx context.Context, url string, stream bool) (status int, contentType, answer string, err error) {
	question := map[string]any{
		"model":    "any",
		"stream":   stream,
		"messages": []any{map[string]string{"role": "user", "content": "tell me of gateways"}},
	}
	body, err := json.Marshal(question)
	if err != nil {
		return 0, "", "", err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return 0, "", "", err
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := newClient().Do(request)
	if err != nil {
		return 0, "", "", err
	}
	defer response.Body.Close()
	whole, err := io.ReadAll(response.Body)
	return response.StatusCode, response.Header.Get("Content-Type"), string(whole), err
}

// joinStream returns the text of an event stream of chat completion chunks, and
// whether it came to its proper end.
func joinStream(body string) (text string, done bool) {
	GinkgoHelper()
	var b strings.Builder
	lines := bufio.NewScanner(strings.NewReader(body))
	for lines.Scan() {
		data, ok := strings.CutPrefix(lines.Text(), "data: ")
		if !ok {
			continue
		}
		if data == "[DONE]" {
			return b.String(), true
		}
		var chunk struct {
			Choices []struct {
				Delta struct{ Content string } `json:"delta"`
			} `json:"choices"`
		}
		Expect(json.Unmarshal([]byte(data), &chunk)).To(Succeed(), data)
		for _, choice := range chunk.Choices {
			b.WriteString(choice.Delta.Content)
		}
	}
	return b.String(), false
}

package runtime

import (
	"encoding/json/jsontext"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"

	"github.com/citoroute/citoroute/internal/proxy/exchange"
	"github.com/citoroute/citoroute/internal/proxy/upstream"
)

// repeating is a provider whose answer is the text of the request, in its own
// protocol.
type repeating struct{ answer string }

func (r repeating) RoundTrip(ex *exchange.Exchange, _ *exchange.Target) error {
	b, err := io.ReadAll(ex.Request.Body)
	if err != nil || !jsontext.Value(b).IsValid() {
		return fmt.Errorf("%q: %w", b, err)
	}
	_, text, _ := strings.Cut(string(b), "<")
	text, _, _ = strings.Cut(text, ">")
	body := fmt.Sprintf(r.answer, text)
	ex.Response.Status = 200
	ex.Response.Header.Add("Content-Type", "application/json")
	ex.Response.Body, ex.Response.ContentLength = upstream.NewBody([]byte(body)), int64(len(body))
	return nil
}

// TestLLM_MemoryOfOneExchangeIsNotAnothers: bodies of all sizes, also beyond what
// is kept, at many clients at once; each gets back what it has said.
func TestLLM_MemoryOfOneExchangeIsNotAnothers(t *testing.T) {
	for name, answer := range llmAnswers {
		t.Run(name, func(t *testing.T) {
			h := llmHandler(t, name, repeating{answer})
			var all sync.WaitGroup
			for client := range 8 {
				all.Go(func() {
					for i := range 200 {
						said := strings.Repeat(fmt.Sprintf("%d.%d ", client, i), 1+i*i%7000)
						model := []string{"m", "claude-sonnet-4-5"}[i%2] // the other one, which is edited, and that of the backend
						if got, err := repeated(h, model, said); err != nil || !strings.Contains(got, `"`+said+`"`) {
							t.Errorf("client %d, request %d of %d bytes: %.300s, %v", client, i, len(said), got, err)
							return
						}
					}
				})
			}
			all.Wait()
		})
	}
}

// repeated has a provider repeat what is said, and returns the answer.
func repeated(h exchange.Handler, model, said string) (string, error) {
	ex := withBody(request80("POST /v1/chat/completions"), `{"model":"`+model+`","messages":[{"role":"user","content":"<`+said+`>"}]}`)
	h.Serve(ex)
	defer h.Finish(ex, exchange.End{})
	b, err := io.ReadAll(ex.Response.Body)
	return string(b), err
}

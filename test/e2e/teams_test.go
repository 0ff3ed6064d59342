package e2e

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"sync"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// teams is a namespace with testdata/teams.yaml in it, serving.
type teams struct {
	issuer
	namespace, url string
}

func newTeams(ctx context.Context) teams {
	GinkgoHelper()
	t := teams{issuer: newIssuer(), namespace: cluster.namespace(ctx)}
	manifests := strings.NewReplacer("NAMESPACE", t.namespace, "ISSUER_KEYS", t.keys()).Replace(testdata("teams.yaml"))
	cluster.applyText(ctx, t.namespace, manifests)
	cluster.deploymentsReady(ctx, t.namespace)
	t.url = "http://" + cluster.gatewayAddress(ctx, t.namespace, "edge")
	for path, token := range map[string]string{"/v1/chat/completions": t.token("beta"), "/llm/bedrock": t.token("alpha"), "/ai/chat": ""} {
		Eventually(func() (int, error) { return t.ask(ctx, path, token) }).WithContext(ctx).Should(Equal(http.StatusOK), path)
	}
	return t
}

// ask sends one chat completion request and returns the status. An error must
// have OpenAI's form.
func (t teams) ask(ctx context.Context, path, token string) (int, error) {
	body := `{"model":"fake-large","messages":[{"role":"user","content":"hello"}]}`
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, t.url+path, strings.NewReader(body))
	if err != nil {
		return 0, err
	}
	request.Header.Set("Content-Type", "application/json")
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := askers.Do(request)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	if response.StatusCode == http.StatusOK {
		_, err = io.Copy(io.Discard, response.Body)
		return response.StatusCode, err
	}
	var answer struct {
		Error struct{ Message, Type string } `json:"error"`
	}
	return response.StatusCode, json.NewDecoder(response.Body).Decode(&answer)
}

// askers has a connection for each of the requests that are sent at a time.
var askers = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 16}}

// account is what the fake providers say that they served.
type account map[string]struct{ OK, Rejected, Streams int }

func (t teams) account(ctx context.Context) account {
	GinkgoHelper()
	var a account
	Expect(json.Unmarshal([]byte(t.fake(ctx, http.MethodGet)), &a)).To(Succeed())
	return a
}

func (t teams) fake(ctx context.Context, method string) string {
	GinkgoHelper()
	request, err := http.NewRequestWithContext(ctx, method, t.url+"/fake/account", http.NoBody)
	Expect(err).NotTo(HaveOccurred())
	response, err := askers.Do(request)
	Expect(err).NotTo(HaveOccurred())
	defer response.Body.Close()
	Expect(response.StatusCode).To(BeNumerically("<", 300))
	body, err := io.ReadAll(response.Body)
	Expect(err).NotTo(HaveOccurred())
	return string(body)
}

var _ = Describe("LLM routes of teams", Ordered, func() {
	var t teams
	BeforeAll(func(ctx SpecContext) { t = newTeams(ctx) })

	It("serve OpenAI's own client, streams and tools included", func(ctx SpecContext) {
		client := openAIClient(ctx)
		t.fake(ctx, http.MethodDelete)
		runOpenAIClient(ctx, client, "GATEWAY="+t.url+"/v1", "TOKEN="+t.token("alpha"))
		runOpenAIClient(ctx, client, "GATEWAY="+t.url+"/v1", "TOKEN="+t.token("beta"))
		runOpenAIClient(ctx, client, "GATEWAY="+t.url+"/llm/bedrock", "TOKEN="+t.token("alpha"))
		runOpenAIClient(ctx, client, "ENDPOINT="+t.url+"/ai/chat")
		for _, provider := range []string{"openai", "anthropic", "bedrock"} {
			served := t.account(ctx)[provider]
			Expect(served.OK).To(BeNumerically(">", 0), provider)
			Expect(served.Streams).To(BeNumerically(">", 0), provider)
			Expect(served.Rejected).To(BeZero(), "%s found something wrong with a request", provider)
		}
	})

	It("let in who may, and nobody else", func(ctx SpecContext) {
		stranger := newIssuer()
		for _, c := range []struct {
			path, token string
			want        int
		}{
			{"/v1/chat/completions", t.token("alpha"), http.StatusOK},
			{"/v1/chat/completions", t.token("beta"), http.StatusOK},
			{"/v1/chat/completions", t.token("gamma"), http.StatusForbidden},
			{"/v1/chat/completions", stranger.token("alpha"), http.StatusUnauthorized},
			{"/v1/chat/completions", "not-a-token", http.StatusUnauthorized},
			{"/v1/chat/completions", "", http.StatusUnauthorized},
			{"/llm/bedrock", t.token("alpha"), http.StatusOK},
			{"/llm/bedrock", t.token("beta"), http.StatusForbidden},
			{"/llm/bedrock", stranger.token("alpha"), http.StatusUnauthorized},
			{"/llm/bedrock", "", http.StatusUnauthorized},
			{"/ai/chat", "", http.StatusOK},
			{"/ai/chat/more", "", http.StatusNotFound},
		} {
			status, err := t.ask(ctx, c.path, c.token)
			if c.want != http.StatusNotFound { // no route, so no protocol for its error
				Expect(err).NotTo(HaveOccurred(), c.path)
			}
			Expect(status).To(Equal(c.want), "%s with the token %q", c.path, c.token)
		}
	})

	It("share requests by weight", func(ctx SpecContext) {
		const requests, workers = 2000, 16
		token := t.token("alpha")
		t.fake(ctx, http.MethodDelete)
		// The client before made them ask for a pause, which has to be over.
		Eventually(func(g Gomega) {
			g.Expect(t.ask(ctx, "/v1/chat/completions", token)).To(Equal(http.StatusOK))
			served := t.account(ctx)
			g.Expect(served["openai"].OK).To(BeNumerically(">", 0))
			g.Expect(served["anthropic"].OK).To(BeNumerically(">", 0))
		}).WithContext(ctx).Should(Succeed())
		t.fake(ctx, http.MethodDelete)
		var all sync.WaitGroup
		for range workers {
			all.Go(func() {
				defer GinkgoRecover()
				for range requests / workers {
					status, err := t.ask(ctx, "/v1/chat/completions", token)
					Expect(err).NotTo(HaveOccurred())
					Expect(status).To(Equal(http.StatusOK))
				}
			})
		}
		all.Wait()
		served := t.account(ctx)
		Expect(served["openai"].OK + served["anthropic"].OK).To(Equal(requests))
		share := float64(served["openai"].OK) / requests
		Expect(share).To(BeNumerically("~", 0.75, 0.02))
	})
})

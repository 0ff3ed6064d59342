package e2e

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// limitedTeams is teams with testdata/limits.yaml.
type limitedTeams struct{ teams }

// eventuallyAll waits until a check holds for so many requests of team beta,
// each on a connection of its own, that every proxy has answered some.
func (t limitedTeams) eventuallyAll(ctx context.Context, check func(Gomega, limitedAnswer)) {
	GinkgoHelper()
	Eventually(func(g Gomega) {
		for range 16 {
			check(g, t.askOnce(ctx, "/v1/chat/completions", "beta"))
		}
	}).WithContext(ctx).Should(Succeed())
}

// inForce waits until every proxy keeps a limit of so many tokens.
func (t limitedTeams) inForce(ctx context.Context, tokens int) {
	GinkgoHelper()
	t.eventuallyAll(ctx, func(g Gomega, a limitedAnswer) {
		g.Expect(a.status).To(Equal(http.StatusOK))
		g.Expect(a.header.Get("X-Ratelimit-Limit-Tokens")).To(Equal(strconv.Itoa(tokens)))
	})
}

// limitedAnswer is an answer with what it says of limits.
type limitedAnswer struct {
	status int
	header http.Header
	used   int // tokens
	// kind and code are those of an error.
	kind, code string
}

// number is a field whose value is a whole number.
func (a limitedAnswer) number(field string) int {
	GinkgoHelper()
	n, err := strconv.Atoi(a.header.Get(field))
	Expect(err).NotTo(HaveOccurred(), field)
	return n
}

// wantRefused checks the answer to one who has used up a limit: in OpenAI's form,
// with the fields that its clients know.
func (a limitedAnswer) wantRefused() {
	GinkgoHelper()
	Expect(a.status).To(Equal(http.StatusTooManyRequests))
	Expect(a.kind).To(Equal("rate_limit_error"))
	Expect(a.code).To(Equal("rate_limit_exceeded"))
	Expect(a.number("Retry-After")).To(And(BeNumerically(">", 0), BeNumerically("<=", 7200)))
}

// stranger makes a connection for each request, so that any proxy may answer it.
var stranger = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}

// askOnce sends a request of a team on a connection of its own.
func (t limitedTeams) askOnce(ctx context.Context, path, team string) limitedAnswer {
	GinkgoHelper()
	body := `{"model":"fake-large","messages":[{"role":"user","content":"hello"}]}`
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, t.url+path, strings.NewReader(body))
	Expect(err).NotTo(HaveOccurred())
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Authorization", "Bearer "+t.token(team))
	response, err := stranger.Do(request)
	Expect(err).NotTo(HaveOccurred())
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	Expect(err).NotTo(HaveOccurred())
	var answer struct {
		Usage struct {
			Total int `json:"total_tokens"`
		} `json:"usage"`
		Error struct{ Type, Code string } `json:"error"`
	}
	Expect(json.Unmarshal(text, &answer)).To(Succeed(), string(text))
	return limitedAnswer{response.StatusCode, response.Header, answer.Usage.Total, answer.Error.Type, answer.Error.Code}
}

// scale gives the one Deployment with a label so many pods, and waits for them.
func (t limitedTeams) scale(ctx context.Context, replicas int32, label client.MatchingLabels) {
	GinkgoHelper()
	var deployments appsv1.DeploymentList
	Expect(cluster.List(ctx, &deployments, client.InNamespace(t.namespace), label)).To(Succeed())
	Expect(deployments.Items).To(HaveLen(1))
	d := &deployments.Items[0]
	base := d.DeepCopy()
	d.Spec.Replicas = &replicas
	Expect(cluster.Patch(ctx, d, client.MergeFrom(base))).To(Succeed())
	cluster.deploymentsReady(ctx, t.namespace)
}

// allowWithoutStore lets requests pass while their counters cannot be reached.
func (t limitedTeams) allowWithoutStore(ctx context.Context) {
	GinkgoHelper()
	policy := &unstructured.Unstructured{}
	policy.SetAPIVersion("citoroute.io/v1alpha1")
	policy.SetKind("LLMLimitPolicy")
	policy.SetNamespace(t.namespace)
	policy.SetName("chat")
	patch := client.RawPatch("application/merge-patch+json", []byte(`{"spec":{"onStoreFailure":"Allow"}}`))
	Expect(cluster.Patch(ctx, policy, patch)).To(Succeed())
}

var _ = Describe("Limits of LLM routes", Ordered, func() {
	const (
		chat, bedrock = "/v1/chat/completions", "/llm/bedrock"
		million       = 1_000_000
	)
	var t limitedTeams
	BeforeAll(func(ctx SpecContext) {
		t = limitedTeams{newTeams(ctx)}
		cluster.apply(ctx, t.namespace, "limits.yaml")
		t.inForce(ctx, million)
	})

	It("refuse a consumer who has used up its requests, and nobody else", func(ctx SpecContext) {
		for left := 2; left >= 0; left-- {
			answer := t.askOnce(ctx, chat, "alpha")
			Expect(answer.status).To(Equal(http.StatusOK))
			Expect(answer.number("X-Ratelimit-Limit-Requests")).To(Equal(3))
			Expect(answer.number("X-Ratelimit-Remaining-Requests")).To(Equal(left))
			Expect(answer.header.Get("X-Ratelimit-Reset-Requests")).NotTo(BeEmpty())
		}
		answer := t.askOnce(ctx, chat, "alpha")
		answer.wantRefused()
		Expect(answer.number("X-Ratelimit-Remaining-Requests")).To(BeZero())
		Expect(t.askOnce(ctx, chat, "beta").status).To(Equal(http.StatusOK))
	})

	It("count the tokens that were used, and take none for what has no room", func(ctx SpecContext) {
		const most = 100
		var answer limitedAnswer
		Eventually(func() string {
			answer = t.askOnce(ctx, bedrock, "alpha")
			return answer.header.Get("X-Ratelimit-Limit-Tokens")
		}).WithContext(ctx).Should(Equal(strconv.Itoa(most)))
		used := answer.used
		Expect(used).To(BeNumerically(">", 0))
		// What a request did not use is given back a moment after its answer.
		Eventually(func(g Gomega) {
			answer = t.askOnce(ctx, bedrock, "alpha")
			used += answer.used
			g.Expect(answer.status).To(Equal(http.StatusTooManyRequests))
			g.Expect(answer.number("X-Ratelimit-Remaining-Tokens")).To(Equal(most - used))
		}).WithContext(ctx).Should(Succeed())
		answer.wantRefused()
		Expect(used).To(BeNumerically("<", most))
	})

	It("hold for all replicas together, and for nobody or everybody while their server is lost", func(ctx SpecContext) {
		const most = 10
		redis := client.MatchingLabels{"app": "redis"}
		t.scale(ctx, 2, client.MatchingLabels{gatewayNameLabel: "edge"})
		// In memory the second counts from zero, which shows that it gets requests.
		Eventually(func() int { return t.askOnce(ctx, chat, "alpha").status }).WithContext(ctx).Should(Equal(http.StatusOK))
		cluster.apply(ctx, t.namespace, "limits-redis.yaml")
		t.inForce(ctx, 2*million)
		served := map[int]int{}
		for range 4 * most {
			served[t.askOnce(ctx, chat, "alpha").status]++
		}
		// One that a busy machine gave no answer in time may have been counted.
		Expect(served[http.StatusOK]).To(BeNumerically("<=", most), "%v", served)
		Expect(served[http.StatusOK]+served[http.StatusServiceUnavailable]).To(BeNumerically(">=", most), "%v", served)
		Expect(served[http.StatusTooManyRequests]).To(BeNumerically(">", 0), "%v", served)

		t.scale(ctx, 0, redis)
		t.eventuallyAll(ctx, func(g Gomega, a limitedAnswer) {
			g.Expect(a.status).To(Equal(http.StatusServiceUnavailable))
			g.Expect(a.header.Get("Retry-After")).NotTo(BeEmpty())
		})
		t.allowWithoutStore(ctx)
		t.eventuallyAll(ctx, func(g Gomega, a limitedAnswer) { g.Expect(a.status).To(Equal(http.StatusOK)) })
		Expect(t.askOnce(ctx, chat, "alpha").status).To(Equal(http.StatusOK))

		t.scale(ctx, 1, redis)
		t.inForce(ctx, 2*million)
	})
})

package e2e

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

var _ = Describe("A change of a route", Serial, func() {
	It("is served within 100 ms at the median", func(ctx SpecContext) {
		e := newEdge(ctx)
		var took []time.Duration
		for version := range 41 {
			took = append(took, e.changeHeader(ctx, strconv.Itoa(version)))
		}
		slices.Sort(took)
		median, worst := took[len(took)/2], took[len(took)-1]
		AddReportEntry("propagation", fmt.Sprintf("median %s, worst %s of %d changes", median, worst, len(took)))
		Expect(median).To(BeNumerically("<", 100*time.Millisecond))
	})

	It("loses no request in 1,000 changes of its backend", func(ctx SpecContext) {
		e := newEdge(ctx)
		l := startLoad(ctx, e.url, 4)
		l.serve(ctx, 100)
		for i := range 1000 {
			e.setBackend(ctx, []string{"v2", "v1"}[i%2])
		}
		e.setBackend(ctx, "v2")
		eventuallyServed(ctx, e.url, "v2")
		l.serve(ctx, 100)
		l.stop()
	})
})

// changeHeader makes the route set a request header, and returns the time from
// asking for it until a request shows it.
func (e edge) changeHeader(ctx context.Context, value string) time.Duration {
	GinkgoHelper()
	c := newClient()
	start := time.Now()
	e.patchRule(ctx, `{"filters":[{"type":"RequestHeaderModifier","requestHeaderModifier":{"set":[{"name":"X-Version","value":"`+
		value+`"}]}}],"backendRefs":[{"name":"v1","port":80}]}`)
	Eventually(func(g Gomega) {
		_, answer, err := get(ctx, c, e.url)
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(answer.Headers["X-Version"]).To(Equal([]string{value}))
	}).WithContext(ctx).WithPolling(time.Millisecond).Should(Succeed())
	return time.Since(start)
}

package e2e

import (
	"bufio"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

const malformedRoute = `
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: bad}
spec:
  parentRefs: [{name: edge}]
  hostnames: [bad.example.com]
  rules: [{backendRefs: [%BACKEND%]}]
`

var _ = Describe("Malformed input", Ordered, func() {
	var e edge
	BeforeAll(func(ctx SpecContext) { e = newEdge(ctx) })

	DescribeTable("gets a condition that says so, and nothing else changes",
		func(ctx SpecContext, manifests, kind, name, conditionType, reason string) {
			cluster.applyText(ctx, e.namespace, manifests)
			Eventually(func(g Gomega) {
				c := cluster.condition(ctx, kind, e.namespace, name, conditionType)
				g.Expect(c).NotTo(BeNil())
				g.Expect(string(c.Status)).To(Equal("False"))
				g.Expect(c.Reason).To(Equal(reason))
				g.Expect(c.Message).NotTo(BeEmpty())
			}).WithContext(ctx).Should(Succeed())
			eventuallyServed(ctx, e.url, "v1")
		},
		Entry("a Secret that holds no certificate", `
apiVersion: v1
kind: Secret
metadata: {name: junk}
type: kubernetes.io/tls
stringData: {tls.crt: this is no certificate, tls.key: nor a key}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: secure}
spec:
  gatewayClassName: citoroute
  listeners:
    - name: https
      port: 443
      protocol: HTTPS
      tls: {certificateRefs: [{name: junk}]}
`, "Gateway", "secure", "ResolvedRefs", "InvalidCertificateRef"),
		Entry("a backend of an unknown kind",
			strings.ReplaceAll(malformedRoute, "%BACKEND%", "{group: example.com, kind: Teapot, name: v1, port: 80}"),
			"HTTPRoute", "bad", "ResolvedRefs", "InvalidKind"),
		Entry("a backend that does not exist",
			strings.ReplaceAll(malformedRoute, "%BACKEND%", "{name: nowhere, port: 80}"),
			"HTTPRoute", "bad", "ResolvedRefs", "BackendNotFound"),
		Entry("a backend in a namespace that does not allow it",
			strings.ReplaceAll(malformedRoute, "%BACKEND%", "{name: kube-dns, namespace: kube-system, port: 53}"),
			"HTTPRoute", "bad", "ResolvedRefs", "RefNotPermitted"),
		Entry("an LLM route to a backend that does not exist", `
apiVersion: citoroute.io/v1alpha1
kind: LLMRoute
metadata: {name: bad}
spec:
  parentRefs: [{name: edge}]
  backendRefs: [{name: nowhere}]
`, "LLMRoute", "bad", "ResolvedRefs", "BackendNotFound"),
	)

	DescribeTable("in a request gets a 4xx or the end of the connection",
		func(ctx SpecContext, request string) {
			status := sendRaw(strings.TrimPrefix(e.url, "http://"), request)
			Expect(status).To(Or(BeZero(), And(BeNumerically(">=", 400), BeNumerically("<", 500))))
			eventuallyServed(ctx, e.url, "v1")
		},
		Entry("with 2 MB of headers", "GET / HTTP/1.1\r\nHost: a\r\nX-Big: "+strings.Repeat("x", 2<<20)+"\r\n\r\n"),
		Entry("that is cut off", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nshort"),
		Entry("that is not HTTP", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n"),
		Entry("with two Host lines", "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"),
	)
})

// sendRaw sends the bytes, closes its half of the connection, and returns the
// status of the answer; zero if the connection ended without one.
func sendRaw(address, request string) int {
	GinkgoHelper()
	conn, err := net.DialTimeout("tcp", net.JoinHostPort(address, "80"), 5*time.Second)
	Expect(err).NotTo(HaveOccurred())
	defer conn.Close()
	Expect(conn.SetDeadline(time.Now().Add(30 * time.Second))).To(Succeed())
	// The proxy may answer and close before it has read everything, so none of
	// these has to succeed.
	if _, err := conn.Write([]byte(request)); err == nil {
		_ = conn.(*net.TCPConn).CloseWrite()
	}
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		Expect(err).NotTo(MatchError(os.ErrDeadlineExceeded), "the proxy neither answered nor closed")
		return 0
	}
	defer response.Body.Close()
	return response.StatusCode
}

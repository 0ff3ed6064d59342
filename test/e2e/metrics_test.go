package e2e

import (
	"context"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const controllerMetrics = "https://citoroute-controller-metrics." + controllerNamespace + ".svc:8443/metrics"

var _ = Describe("The controller's metrics", func() {
	var namespace string

	BeforeEach(func(ctx SpecContext) {
		namespace = cluster.namespace(ctx)
		cluster.apply(ctx, namespace, "metrics.yaml")
		cluster.deploymentsReady(ctx, namespace)
		allowMetrics(ctx, namespace, "reader")
	})

	It("are for those who may read them, over HTTPS", func(ctx SpecContext) {
		Eventually(func(g Gomega) { // the role takes a moment
			out := scrape(ctx, g, namespace, token(ctx, namespace, "reader"))
			g.Expect(out).To(ContainSubstring("StatusCode=200"))
			g.Expect(out).To(ContainSubstring("citoroute_controller_streams"))
		}).WithContext(ctx).Should(Succeed())
	})

	DescribeTable("are not for others", func(ctx SpecContext, account, status string) {
		bearer := ""
		if account != "" {
			bearer = token(ctx, namespace, account)
		}
		Eventually(func(g Gomega) {
			out := scrape(ctx, g, namespace, bearer)
			g.Expect(out).To(ContainSubstring("StatusCode=" + status))
			g.Expect(out).NotTo(ContainSubstring("citoroute_controller"))
		}).WithContext(ctx).Should(Succeed())
	},
		Entry("without a token", "", "401"),
		Entry("with the token of somebody else", "stranger", "403"),
	)
})

// allowMetrics gives a ServiceAccount the role to read metrics, while the spec lives.
func allowMetrics(ctx context.Context, namespace, account string) {
	GinkgoHelper()
	binding := &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "e2e-metrics-"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "citoroute-metrics-reader"},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: namespace, Name: account}},
	}
	Expect(cluster.Create(ctx, binding)).To(Succeed())
	DeferCleanup(func(ctx SpecContext) {
		Expect(client.IgnoreNotFound(cluster.Delete(ctx, binding))).To(Succeed())
	})
}

// token returns a new token of a ServiceAccount.
func token(ctx context.Context, namespace, account string) string {
	GinkgoHelper()
	owner := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: account}}
	request := &authenticationv1.TokenRequest{}
	Expect(cluster.SubResource("token").Create(ctx, owner, request)).To(Succeed())
	return request.Status.Token
}

// scrape has the client pod get the metrics, with a token if there is one.
func scrape(ctx context.Context, g Gomega, namespace, bearer string) string {
	var pods corev1.PodList
	g.Expect(cluster.List(ctx, &pods, client.InNamespace(namespace), client.MatchingLabels{"app": "client"})).To(Succeed())
	g.Expect(pods.Items).NotTo(BeEmpty())
	command := []string{"client", controllerMetrics, "--insecure-skip-verify"}
	if bearer != "" {
		command = append(command, "-H", "Authorization:Bearer "+bearer)
	}
	out, err := cluster.exec(ctx, pods.Items[0], "client", command...)
	g.Expect(err).NotTo(HaveOccurred())
	return out
}

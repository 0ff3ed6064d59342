package controller

import (
	"context"
	"os"
	"path/filepath"
	"sync"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/citoroute/citoroute/internal/infra"
	"github.com/citoroute/citoroute/internal/ir"
	"github.com/citoroute/citoroute/internal/push"
)

// fakeProxy is a proxy that serves nothing but keeps what it is sent.
type fakeProxy struct {
	mu      sync.Mutex
	current map[ir.Ref]ir.Resource
	updates int
	refusal error
}

// Apply implements push.Sink.
func (p *fakeProxy) Apply(u ir.Update) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.refusal != nil {
		return p.refusal
	}
	p.updates++
	if u.Complete {
		clear(p.current)
	}
	for _, r := range u.Upserts {
		p.current[ir.RefOf(r)] = r
	}
	for _, ref := range u.Removed {
		delete(p.current, ref)
	}
	return nil
}

// refuse makes the proxy reject what it is sent from now on; nil: no more.
func (p *fakeProxy) refuse(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refusal = err
}

// count returns how many resources of a type the proxy has.
func (p *fakeProxy) count(t ir.Type) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := 0
	for ref := range p.current {
		if ref.Type == t {
			n++
		}
	}
	return n
}

// hosts returns the hostnames of the routes that the proxy has.
func (p *fakeProxy) hosts() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []string
	for _, r := range p.current {
		if route, ok := r.(*ir.Route); ok {
			out = append(out, route.Hostnames...)
		}
	}
	return out
}

// connectProxy runs a proxy of a Gateway as its pod would: with the mounted
// bundle and the token of the named ServiceAccount.
func connectProxy(ctx context.Context, node string, account, gateway types.NamespacedName) *fakeProxy {
	GinkgoHelper()
	return connectProxyTo(ctx, suite.address, node, account, gateway)
}

// connectProxyTo is connectProxy to one replica of the controller.
func connectProxyTo(ctx context.Context, address, node string, account, gateway types.NamespacedName) *fakeProxy {
	GinkgoHelper()
	config := &corev1.ConfigMap{}
	Eventually(func() error { return suite.client.Get(ctx, gateway, config) }).Should(Succeed())
	dir := GinkgoT().TempDir()
	ca, tokenFile := filepath.Join(dir, infra.KeyCA), filepath.Join(dir, "token")
	Expect(os.WriteFile(ca, []byte(config.Data[infra.KeyCA]), 0o600)).To(Succeed())
	Expect(os.WriteFile(tokenFile, []byte(tokenOf(ctx, account)), 0o600)).To(Succeed())
	p := &fakeProxy{current: map[ir.Ref]ir.Resource{}}
	c := &push.Client{
		Node: node, Proxy: "fake", Servers: []string{address}, Sink: p,
		Credentials: push.FileCredentials(ca, streamHost), Token: push.FileToken(tokenFile),
	}
	run, cancel := context.WithCancel(context.Background())
	DeferCleanup(cancel)
	go func() { _ = c.Run(run) }()
	return p
}

func tokenOf(ctx context.Context, account types.NamespacedName) string {
	GinkgoHelper()
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{Audiences: []string{infra.TokenAudience}}}
	sa := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: account.Namespace, Name: account.Name}}
	Expect(suite.client.SubResource("token").Create(ctx, sa, request)).To(Succeed())
	return request.Status.Token
}

// playCluster does what a cluster does to a Gateway's objects: it gives the
// Service an address and lets a pod of the Deployment be ready.
func playCluster(ctx context.Context, key types.NamespacedName, address string) {
	GinkgoHelper()
	assign(ctx, key, address)
	Eventually(func(g Gomega) {
		deployment := &appsv1.Deployment{}
		g.Expect(suite.client.Get(ctx, key, deployment)).To(Succeed())
		deployment.Status.Replicas, deployment.Status.ReadyReplicas = 1, 1
		g.Expect(suite.client.Status().Update(ctx, deployment)).To(Succeed())
	}).Should(Succeed())
}

// assign gives a Service an address.
func assign(ctx context.Context, key types.NamespacedName, address string) {
	GinkgoHelper()
	Eventually(func(g Gomega) {
		service := &corev1.Service{}
		g.Expect(suite.client.Get(ctx, key, service)).To(Succeed())
		service.Status.LoadBalancer.Ingress = []corev1.LoadBalancerIngress{{IP: address}}
		g.Expect(suite.client.Status().Update(ctx, service)).To(Succeed())
	}).Should(Succeed())
}

// newNamespace makes a namespace for one spec.
func newNamespace(ctx context.Context) string {
	GinkgoHelper()
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "spec-"}}
	Expect(suite.client.Create(ctx, ns)).To(Succeed())
	return ns.Name
}

// get reads an object anew, for use in Eventually.
func get[T client.Object](ctx context.Context, o T) func() (T, error) {
	return func() (T, error) {
		err := suite.client.Get(ctx, client.ObjectKeyFromObject(o), o)
		return o, err
	}
}

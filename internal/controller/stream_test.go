package controller

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/citoroute/citoroute/api/v1alpha1"
	"github.com/citoroute/citoroute/internal/engine"
	"github.com/citoroute/citoroute/internal/infra"
)

// reviewer is an API server to which a token is the name of its user, for the
// audience of the config stream where that is asked for.
func reviewer() client.Client {
	return fake.NewClientBuilder().WithInterceptorFuncs(interceptor.Funcs{
		Create: func(_ context.Context, _ client.WithWatch, o client.Object, _ ...client.CreateOption) error {
			if review, ok := o.(*authenticationv1.TokenReview); ok && slices.Contains(review.Spec.Audiences, infra.TokenAudience) {
				review.Status = authenticationv1.TokenReviewStatus{
					Authenticated: true, Audiences: []string{infra.TokenAudience},
					User: authenticationv1.UserInfo{Username: review.Spec.Token},
				}
			}
			return nil
		},
	}).Build()
}

// worldWith returns a world of objects.
func worldWith(t *testing.T, options engine.Options, namespaces ...*corev1.Namespace) *World {
	t.Helper()
	m, err := newMetrics(prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(options, logr.Discard(), m)
	for _, n := range namespaces {
		w.note(namespaceKey(n.Name), n)
	}
	w.translate(w.take())
	return w
}

func namespaceWith(name string, labels map[string]string) *corev1.Namespace {
	return &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels}}
}

func TestAuthorize_Sidecars(t *testing.T) {
	inMesh := map[string]string{v1alpha1.LabelInjection: v1alpha1.InjectionEnabled}
	namespaces := []*corev1.Namespace{
		namespaceWith("shop", inMesh), namespaceWith("shop-eu", inMesh), namespaceWith("plain", nil),
		namespaceWith("out", map[string]string{v1alpha1.LabelInjection: v1alpha1.InjectionDisabled}),
	}
	for name, c := range map[string]struct {
		user, node string
		off        bool
		want       string // part of the error; empty: admitted
	}{
		"OwnNamespace":     {user: "system:serviceaccount:shop:default", node: "mesh/shop"},
		"AnyAccount":       {user: "system:serviceaccount:shop:cart", node: "mesh/shop"},
		"OtherNamespace":   {user: "system:serviceaccount:shop:cart", node: "mesh/shop-eu", want: "may not have"},
		"NamespaceOfAName": {user: "system:serviceaccount:shop-eu:cart", node: "mesh/shop", want: "may not have"},
		"NotLabelled":      {user: "system:serviceaccount:plain:cart", node: "mesh/plain", want: "lacks the label"},
		"LabelledOut":      {user: "system:serviceaccount:out:cart", node: "mesh/out", want: "lacks the label"},
		"NoSuchNamespace":  {user: "system:serviceaccount:gone:cart", node: "mesh/gone", want: "lacks the label"},
		"NoServiceAccount": {user: "shop", node: "mesh/shop", want: "may not have"},
		"NoNamespace":      {user: "system:serviceaccount::cart", node: "mesh/", want: "no Gateway"},
		"MoreThanOne":      {user: "system:serviceaccount:shop:cart", node: "mesh/shop/cart", want: "no Gateway"},
		"NoToken":          {node: "mesh/shop", want: "no bearer token"},
		"UnknownNode":      {user: "system:serviceaccount:shop:cart", node: "meshes/shop", want: "no Gateway"},
		"Off":              {user: "system:serviceaccount:shop:cart", node: "mesh/shop", off: true, want: "lacks the label"},
	} {
		t.Run(name, func(t *testing.T) {
			world := worldWith(t, engine.Options{ControllerName: DefaultControllerName, Mesh: !c.off}, namespaces...)
			err := authorize(reviewer(), world)(t.Context(), c.user, c.node)
			if (err == nil) != (c.want == "") || (err != nil && !strings.Contains(err.Error(), c.want)) {
				t.Errorf("got %v, want an error with %q", err, c.want)
			}
		})
	}
}

func TestAuthorize_AsksNobodyAboutANamespaceThatLeft(t *testing.T) {
	world := worldWith(t, engine.Options{ControllerName: DefaultControllerName, Mesh: true}, namespaceWith("plain", nil))
	busy := fake.NewClientBuilder().WithInterceptorFuncs(interceptor.Funcs{
		Create: func(context.Context, client.WithWatch, client.Object, ...client.CreateOption) error {
			t.Error("a token is reviewed")
			return nil
		},
	}).Build()
	if authorize(busy, world)(t.Context(), "system:serviceaccount:plain:cart", "mesh/plain") == nil {
		t.Error("admitted")
	}
}

func TestAuthorize_FollowsTheLabel(t *testing.T) {
	inMesh := map[string]string{v1alpha1.LabelInjection: v1alpha1.InjectionEnabled}
	world := worldWith(t, engine.Options{ControllerName: DefaultControllerName, Mesh: true}, namespaceWith("shop", inMesh))
	ask := func() error {
		return authorize(reviewer(), world)(t.Context(), "system:serviceaccount:shop:cart", "mesh/shop")
	}
	if err := ask(); err != nil {
		t.Errorf("labelled: %v", err)
	}
	world.note(namespaceKey("shop"), namespaceWith("shop", nil))
	world.translate(world.take())
	if ask() == nil {
		t.Error("admitted without the label")
	}
	world.note(namespaceKey("shop"), nil)
	world.translate(world.take())
	if ask() == nil {
		t.Error("admitted without the namespace")
	}
}

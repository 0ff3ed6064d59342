package controller

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/citoroute/citoroute/api/v1alpha1"
	"github.com/citoroute/citoroute/internal/engine"
	"github.com/citoroute/citoroute/internal/infra"
	"github.com/citoroute/citoroute/internal/push"
	"github.com/citoroute/citoroute/internal/translate"
)

// reviewTimeout limits how long a proxy waits for the API server's word on it.
const reviewTimeout = 10 * time.Second

// +kubebuilder:rbac:groups=authentication.k8s.io,resources=tokenreviews,verbs=create

// Stream serves configuration to proxies. It runs in every replica, from the
// moment when everything that was there is translated.
type Stream struct {
	world   *World
	server  *push.Server
	address string
	// bound is closed when connections are accepted.
	bound chan struct{}
}

// NeedLeaderElection says that every replica serves configuration.
func (*Stream) NeedLeaderElection() bool { return false }

// Start serves until ctx is done.
func (s *Stream) Start(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case <-s.world.primed:
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", s.address)
	if err != nil {
		return fmt.Errorf("config stream: %w", err)
	}
	close(s.bound)
	return s.server.Serve(ctx, l)
}

// authorize admits the ServiceAccount of a Gateway to that Gateway's node, those
// of a namespace of the mesh to the namespace's, and nobody to anything else.
func authorize(reviewer client.Client, world *World) func(ctx context.Context, token, node string) error {
	return func(ctx context.Context, token, node string) error {
		owner := engine.OwnerOf(node)
		// Sidecars that stay in a namespace which left the mesh ask again and again:
		// they must not keep the API server busy.
		if owner.Kind == translate.KindNamespace && !world.inMesh(owner.Name) {
			return fmt.Errorf("namespace %q is not of the mesh: it lacks the label %s=%s", owner.Name, v1alpha1.LabelInjection, v1alpha1.InjectionEnabled)
		}
		user, err := authenticate(ctx, reviewer, token)
		switch {
		case err != nil:
			return err
		case owner.Kind == translate.KindNamespace:
			return admitSidecar(user, owner.Name)
		}
		return admitProxy(world, user, node)
	}
}

// admitProxy says whether a user is the proxies of a Gateway's node.
func admitProxy(world *World, user, node string) error {
	gateway, managed := world.gateway(engine.GatewayOf(node))
	if !managed {
		return fmt.Errorf("node %q is no Gateway of this controller", node)
	}
	namespace, name := infra.Key(gateway)
	if user != accountPrefix(namespace)+name {
		return fmt.Errorf("%s may not have the configuration of node %q", user, node)
	}
	return nil
}

// admitSidecar says whether a user runs pods in a namespace.
func admitSidecar(user, namespace string) error {
	if !strings.HasPrefix(user, accountPrefix(namespace)) {
		return fmt.Errorf("%s may not have the configuration of the mesh in namespace %q", user, namespace)
	}
	return nil
}

// accountPrefix begins the names of the users that the ServiceAccounts of a
// namespace are.
func accountPrefix(namespace string) string { return "system:serviceaccount:" + namespace + ":" }

// authenticate returns the user of a token that is meant for the config stream.
func authenticate(ctx context.Context, reviewer client.Client, token string) (string, error) {
	if token == "" {
		return "", errors.New("no bearer token")
	}
	ctx, cancel := context.WithTimeout(ctx, reviewTimeout)
	defer cancel()
	review := &authenticationv1.TokenReview{Spec: authenticationv1.TokenReviewSpec{
		Token: token, Audiences: []string{infra.TokenAudience},
	}}
	if err := reviewer.Create(ctx, review); err != nil {
		return "", fmt.Errorf("review token: %w", err)
	}
	if !review.Status.Authenticated || !slices.Contains(review.Status.Audiences, infra.TokenAudience) {
		return "", fmt.Errorf("token is not valid for audience %q: %s", infra.TokenAudience, review.Status.Error)
	}
	return review.Status.User.Username, nil
}

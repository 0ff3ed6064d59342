package controller

import (
	"cmp"
	"context"
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/citoroute/citoroute/internal/engine"
	"github.com/citoroute/citoroute/internal/infra"
	"github.com/citoroute/citoroute/internal/push"
	"github.com/citoroute/citoroute/internal/status"
	"github.com/citoroute/citoroute/internal/translate"
)

// facts gathers what only the running system knows.
type facts struct {
	reader client.Reader
	world  *World
	server *push.Server
	// refusals are those of all replicas' proxies.
	refusals *Refusals
	now      func() time.Time
}

// ackPatience is how long proxies have to acknowledge new listeners before a
// Gateway is called not programmed. They usually need some milliseconds, and a
// condition should not flap on every change.
const ackPatience = 500 * time.Millisecond

// of returns the facts about an object. Those of a ListenerSet are its
// Gateway's; other kinds have none. If wait is not zero, they are about to
// change: ask again then, or when something happens.
func (f *facts) of(ctx context.Context, o translate.Object) (facts status.Facts, wait time.Duration, err error) {
	switch o := o.(type) {
	case *gatewayv1.Gateway:
		return f.ofGateway(ctx, o)
	case *gatewayv1.ListenerSet:
		if gateway, _ := f.world.gateway(translate.GatewayOf(o)); gateway != nil {
			return f.ofGateway(ctx, gateway)
		}
	}
	return status.Facts{}, 0, nil
}

func (f *facts) ofGateway(ctx context.Context, gateway *gatewayv1.Gateway) (out status.Facts, wait time.Duration, err error) {
	services, err := f.services(ctx, gateway)
	if err != nil {
		return out, 0, err
	}
	out.Addresses = infra.Addresses(services)
	out.Unprovided = f.world.unprovidedOf(keyOf(gateway))
	namespace, name := infra.Key(gateway)
	deployment := &appsv1.Deployment{}
	if _, err := f.get(ctx, namespace, name, deployment); err != nil {
		return out, 0, err
	}
	node := engine.NodeOf(keyOf(gateway))
	state := f.server.State(node)
	out.Rejected = cmp.Or(state.Rejected, f.refusals.of(node))
	// A pod is ready once its first whole configuration serves. Proxies that are
	// connected to another replica are known only by that.
	out.Serving = deployment.Status.ReadyReplicas > 0 && (state.Serving || state.Proxies == 0)
	return out, f.patience(state), nil
}

// services returns the Services that a Gateway has.
func (f *facts) services(ctx context.Context, gateway *gatewayv1.Gateway) ([]*corev1.Service, error) {
	var out []*corev1.Service
	for _, name := range infra.ServiceNames(gateway) {
		service := &corev1.Service{}
		there, err := f.get(ctx, gateway.Namespace, name, service)
		if err != nil {
			return nil, err
		}
		if there {
			out = append(out, service)
		}
	}
	return out, nil
}

// get reads an object of a Gateway, if it is there.
func (f *facts) get(ctx context.Context, namespace, name string, o client.Object) (there bool, err error) {
	err = f.reader.Get(ctx, types.NamespacedName{Namespace: namespace, Name: name}, o)
	if client.IgnoreNotFound(err) != nil {
		return false, fmt.Errorf("get %T %s/%s: %w", o, namespace, name, err)
	}
	return err == nil, nil
}

// patience returns how long to wait for proxies that may still acknowledge.
func (f *facts) patience(state push.State) time.Duration {
	if state.Proxies == 0 || state.Serving || state.Rejected != "" {
		return 0
	}
	return max(0, ackPatience-f.now().Sub(state.Since))
}

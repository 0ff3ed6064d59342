package controller

import (
	"cmp"
	"context"
	"fmt"
	"slices"
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
	now    func() time.Time
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
	namespace, name := infra.Key(gateway)
	key := types.NamespacedName{Namespace: namespace, Name: name}
	service, deployment := &corev1.Service{}, &appsv1.Deployment{}
	for _, o := range []client.Object{service, deployment} {
		if err := client.IgnoreNotFound(f.reader.Get(ctx, key, o)); err != nil {
			return out, 0, fmt.Errorf("gateway %s: %w", key, err)
		}
	}
	out.Addresses = addresses(service)
	out.UnusableAddresses = missingAddresses(infra.RequestedAddresses(gateway), out.Addresses)
	state := f.server.State(engine.NodeOf(keyOf(gateway)))
	out.Rejected = state.Rejected
	// A pod is ready once its first whole configuration serves. Proxies that are
	// connected to another replica are known only by that.
	out.Serving = deployment.Status.ReadyReplicas > 0 && (state.Serving || state.Proxies == 0)
	return out, f.patience(state), nil
}

// patience returns how long to wait for proxies that may still acknowledge.
func (f *facts) patience(state push.State) time.Duration {
	if state.Proxies == 0 || state.Serving || state.Rejected != "" {
		return 0
	}
	return max(0, ackPatience-f.now().Sub(state.Since))
}

// missingAddresses returns those that were asked for and are not there.
func missingAddresses(wanted []string, there []gatewayv1.GatewayStatusAddress) []string {
	return slices.DeleteFunc(wanted, func(value string) bool {
		return slices.ContainsFunc(there, func(a gatewayv1.GatewayStatusAddress) bool { return a.Value == value })
	})
}

// addresses returns where clients reach a Service, sorted.
func addresses(service *corev1.Service) []gatewayv1.GatewayStatusAddress {
	var out []gatewayv1.GatewayStatusAddress
	add := func(t gatewayv1.AddressType, value string) {
		if value != "" && value != corev1.ClusterIPNone {
			out = append(out, gatewayv1.GatewayStatusAddress{Type: &t, Value: value})
		}
	}
	if service.Spec.Type != corev1.ServiceTypeLoadBalancer {
		for _, ip := range service.Spec.ClusterIPs {
			add(gatewayv1.IPAddressType, ip)
		}
	}
	for _, ingress := range service.Status.LoadBalancer.Ingress {
		add(gatewayv1.IPAddressType, ingress.IP)
		add(gatewayv1.HostnameAddressType, ingress.Hostname)
	}
	slices.SortFunc(out, func(a, b gatewayv1.GatewayStatusAddress) int {
		return cmp.Or(-cmp.Compare(*a.Type, *b.Type), cmp.Compare(a.Value, b.Value))
	})
	return out
}

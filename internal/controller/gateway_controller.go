package controller

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/citoroute/citoroute/internal/engine"
	"github.com/citoroute/citoroute/internal/infra"
	"github.com/citoroute/citoroute/internal/translate"
)

// +kubebuilder:rbac:groups=apps,resources=deployments,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups="",resources=services;serviceaccounts;configmaps,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups=policy,resources=poddisruptionbudgets,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups=autoscaling,resources=horizontalpodautoscalers,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups=gateway.networking.k8s.io,resources=gateways/finalizers,verbs=update
// +kubebuilder:rbac:groups=events.k8s.io,resources=events,verbs=create;patch

// GatewayReconciler keeps the infrastructure of Gateways: it applies what
// package infra says, mends drift, and removes what a Gateway does not need any
// more. What a deleted Gateway owned, the garbage collector removes.
type GatewayReconciler struct {
	client   applier
	world    *World
	identity *Identity
	options  infra.Options
	events   events.EventRecorder
}

// Reconcile looks at one Gateway.
func (r *GatewayReconciler) Reconcile(ctx context.Context, key translate.Key) (ctrl.Result, error) {
	gateway, managed := r.world.gateway(key)
	if gateway == nil || gateway.DeletionTimestamp != nil {
		r.world.noteProvided(key, "")
		return ctrl.Result{}, nil
	}
	if !managed {
		r.world.noteProvided(key, "")
		return ctrl.Result{}, r.abandon(ctx, gateway)
	}
	bundle := r.identity.Authorities()
	if bundle == nil {
		return ctrl.Result{}, nil // every Gateway is looked at again once there is one
	}
	parameters := r.world.parameters(key)
	if parameters == nil {
		return ctrl.Result{}, r.hold(ctx, gateway, bundle)
	}
	objects, err := infra.Objects(infra.Input{
		Options:    r.options,
		Gateway:    gateway,
		Parameters: *parameters,
		Node:       engine.NodeOf(key),
		Ports:      r.world.ports(gateway),
		CA:         bundle,
	})
	if err != nil {
		return ctrl.Result{}, err
	}
	return ctrl.Result{}, r.provide(ctx, gateway, objects)
}

// hold leaves what a Gateway has as it is, for nobody knows what it should be. Its
// proxies trust the controller's authorities all the same: without them they
// would get no configuration any more.
func (r *GatewayReconciler) hold(ctx context.Context, gateway *gatewayv1.Gateway, bundle []byte) error {
	namespace, name := infra.Key(gateway)
	config := &corev1.ConfigMap{}
	err := r.client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, config)
	if err != nil || !metav1.IsControlledBy(config, gateway) || config.Data[infra.KeyCA] == string(bundle) {
		return client.IgnoreNotFound(err)
	}
	before := config.DeepCopy()
	if config.Data == nil { // somebody emptied it
		config.Data = map[string]string{}
	}
	config.Data[infra.KeyCA] = string(bundle)
	if err := r.client.Patch(ctx, config, client.MergeFrom(before), client.FieldOwner(infra.ManagedBy)); err != nil {
		return fmt.Errorf("renew authorities in ConfigMap %s/%s: %w", namespace, name, err)
	}
	return nil
}

// provide makes what a Gateway owns these objects. One that the cluster refuses,
// such as a Service for an address of a family that it lacks, stops no other.
func (r *GatewayReconciler) provide(ctx context.Context, gateway *gatewayv1.Gateway, objects []infra.Object) error {
	var errs []error
	var refusal string
	for _, o := range objects {
		err := r.client.apply(ctx, o, ownedBy(gateway))
		switch {
		case namespaceIsGoing(err):
			return nil
		case err != nil:
			r.events.Eventf(gateway, nil, corev1.EventTypeWarning, "InfrastructureFailed", "Apply", "%s", err)
			errs = append(errs, err)
			if refusal == "" && isRefusal(err) {
				refusal = err.Error()
			}
		}
	}
	r.world.noteProvided(keyOf(gateway), refusal)
	return errors.Join(append(errs, r.prune(ctx, gateway, objects))...)
}

// abandon removes what a Gateway has that went over to another controller. If
// only its class is gone, perhaps by mistake, its proxies go on.
func (r *GatewayReconciler) abandon(ctx context.Context, gateway *gatewayv1.Gateway) error {
	class, _ := r.world.object(translate.Key{Kind: translate.KindGatewayClass, Name: string(gateway.Spec.GatewayClassName)})
	if class == nil {
		return nil
	}
	return r.prune(ctx, gateway, nil)
}

// ownedBy says that an object is the Gateway's, or one of ours that is nobody's.
func ownedBy(gateway *gatewayv1.Gateway) func(client.Object) bool {
	return func(o client.Object) bool {
		if controller := metav1.GetControllerOf(o); controller != nil {
			return controller.UID == gateway.UID
		}
		return managed(o)
	}
}

// prune removes what a Gateway owns but does not need: after a change of class
// or when the last listener went.
func (r *GatewayReconciler) prune(ctx context.Context, gateway *gatewayv1.Gateway, keep []infra.Object) error {
	var errs []error
	for _, list := range []client.ObjectList{
		&appsv1.DeploymentList{}, &corev1.ServiceList{}, &policyv1.PodDisruptionBudgetList{},
		&autoscalingv2.HorizontalPodAutoscalerList{}, &corev1.ConfigMapList{}, &corev1.ServiceAccountList{},
	} {
		owned, err := r.owned(ctx, gateway, list)
		errs = append(errs, err)
		for _, o := range owned {
			if !isOneOf(o, keep) && o.GetDeletionTimestamp() == nil {
				log.FromContext(ctx).Info("Deleting what the Gateway does not need", "object", fmt.Sprintf("%T", o), "name", o.GetName())
				errs = append(errs, client.IgnoreNotFound(r.client.Delete(ctx, o)))
			}
		}
	}
	return errors.Join(errs...)
}

func isOneOf(o client.Object, these []infra.Object) bool {
	return slices.ContainsFunc(these, func(other infra.Object) bool {
		return reflect.TypeOf(o) == reflect.TypeOf(other) && o.GetName() == other.GetName()
	})
}

// owned lists the objects of one kind that a Gateway owns.
func (r *GatewayReconciler) owned(ctx context.Context, gateway *gatewayv1.Gateway, list client.ObjectList) ([]client.Object, error) {
	err := r.client.List(ctx, list, client.InNamespace(gateway.Namespace), client.MatchingLabels{
		infra.LabelGateway: infra.LabelValue(gateway.Name), infra.LabelManagedBy: infra.ManagedBy,
	})
	if err != nil {
		return nil, fmt.Errorf("list what Gateway %s/%s owns: %w", gateway.Namespace, gateway.Name, err)
	}
	var out []client.Object
	err = eachItem(list, func(o client.Object) {
		if metav1.IsControlledBy(o, gateway) {
			out = append(out, o)
		}
	})
	return out, err
}

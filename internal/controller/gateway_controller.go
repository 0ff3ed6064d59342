package controller

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
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
// +kubebuilder:rbac:groups=gateway.networking.k8s.io,resources=gateways/finalizers,verbs=update
// +kubebuilder:rbac:groups=events.k8s.io,resources=events,verbs=create;patch

// GatewayReconciler keeps the infrastructure of Gateways: it applies what
// package infra says, mends drift, and removes what a Gateway does not need any
// more. What a deleted Gateway owned, the garbage collector removes.
type GatewayReconciler struct {
	client   client.Client
	world    *World
	identity *Identity
	options  infra.Options
	events   events.EventRecorder
}

// Reconcile looks at one Gateway.
func (r *GatewayReconciler) Reconcile(ctx context.Context, key translate.Key) (ctrl.Result, error) {
	gateway, managed := r.world.gateway(key)
	if gateway == nil || gateway.DeletionTimestamp != nil {
		return ctrl.Result{}, nil
	}
	if !managed {
		return ctrl.Result{}, r.abandon(ctx, gateway)
	}
	bundle := r.identity.Authorities()
	if bundle == nil {
		return ctrl.Result{}, nil // every Gateway is looked at again once there is one
	}
	objects, err := infra.Objects(infra.Input{
		Options: r.options,
		Gateway: gateway,
		Node:    engine.NodeOf(key),
		Ports:   r.world.ports(gateway),
		CA:      bundle,
	})
	if err != nil {
		return ctrl.Result{}, err
	}
	return ctrl.Result{}, r.provide(ctx, gateway, objects)
}

// provide makes what a Gateway owns these objects.
func (r *GatewayReconciler) provide(ctx context.Context, gateway *gatewayv1.Gateway, objects []infra.Object) error {
	for _, o := range objects {
		err := r.apply(ctx, gateway, o)
		switch {
		case namespaceIsGoing(err):
			return nil
		case err != nil:
			r.events.Eventf(gateway, nil, corev1.EventTypeWarning, "InfrastructureFailed", "Apply", "%s", err)
			return err
		}
	}
	return r.prune(ctx, gateway, objects)
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

// apply makes one object what it should be, if it is not.
func (r *GatewayReconciler) apply(ctx context.Context, gateway *gatewayv1.Gateway, want infra.Object) error {
	wanted, err := intent(want)
	if err != nil {
		return err
	}
	same, err := r.matches(ctx, gateway, want, wanted)
	if err != nil || same {
		return err
	}
	log.FromContext(ctx).Info("Applying", "kind", wanted.GetKind(), "name", want.GetName())
	err = r.client.Apply(ctx, client.ApplyConfigurationFromUnstructured(wanted), client.FieldOwner(infra.ManagedBy), client.ForceOwnership)
	if err != nil {
		return fmt.Errorf("apply %s %s/%s: %w", wanted.GetKind(), want.GetNamespace(), want.GetName(), err)
	}
	return nil
}

// matches says that the cluster has an object as it should be. An object of
// somebody else's in its place is an error.
func (r *GatewayReconciler) matches(ctx context.Context, gateway *gatewayv1.Gateway, want infra.Object, wanted *unstructured.Unstructured) (bool, error) {
	current, err := r.current(ctx, want)
	if err != nil {
		return false, client.IgnoreNotFound(err)
	}
	if foreign(current, gateway) {
		return false, fmt.Errorf("%s %s/%s exists and is not the Gateway's: rename or remove it", wanted.GetKind(), want.GetNamespace(), want.GetName())
	}
	has, err := runtime.DefaultUnstructuredConverter.ToUnstructured(current)
	if err != nil {
		return false, fmt.Errorf("convert %s: %w", wanted.GetKind(), err)
	}
	return contains(has, withoutKind(wanted)), nil
}

// foreign says that an object was made by somebody else, for something else.
func foreign(o client.Object, gateway *gatewayv1.Gateway) bool {
	return !metav1.IsControlledBy(o, gateway) && metav1.GetControllerOf(o) == nil && o.GetLabels()[infra.LabelManagedBy] != infra.ManagedBy
}

// current reads the object as the cluster has it, from the cache.
func (r *GatewayReconciler) current(ctx context.Context, want infra.Object) (client.Object, error) {
	o, ok := want.DeepCopyObject().(client.Object)
	if !ok {
		return nil, fmt.Errorf("%T is no API object", want)
	}
	err := r.client.Get(ctx, client.ObjectKeyFromObject(o), o)
	return o, err
}

// prune removes what a Gateway owns but does not need: after a change of class
// or when the last listener went.
func (r *GatewayReconciler) prune(ctx context.Context, gateway *gatewayv1.Gateway, keep []infra.Object) error {
	var errs []error
	for _, list := range []client.ObjectList{
		&appsv1.DeploymentList{}, &corev1.ServiceList{}, &policyv1.PodDisruptionBudgetList{}, &corev1.ConfigMapList{}, &corev1.ServiceAccountList{},
	} {
		owned, err := r.owned(ctx, gateway, list)
		if err != nil {
			return err
		}
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

// intent returns what to apply: the fields that are set, and nothing that the
// cluster decides.
func intent(o infra.Object) (*unstructured.Unstructured, error) {
	b, err := json.Marshal(o)
	if err != nil {
		return nil, fmt.Errorf("encode %T: %w", o, err)
	}
	u := &unstructured.Unstructured{}
	if err := json.Unmarshal(b, &u.Object); err != nil {
		return nil, fmt.Errorf("encode %T: %w", o, err)
	}
	delete(u.Object, "status")
	unstructured.RemoveNestedField(u.Object, "metadata", "creationTimestamp")
	return u, stamp(u)
}

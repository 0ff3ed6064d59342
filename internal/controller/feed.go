package controller

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/go-logr/logr"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/citoroute/citoroute/internal/infra"
	"github.com/citoroute/citoroute/internal/translate"
)

const (
	// bundleVersion is the Gateway API that this controller was made for.
	bundleVersion           = "v1.7.0"
	annotationBundleVersion = "gateway.networking.k8s.io/bundle-version"

	// Between attempts to find a kind that was just defined, doubled each time.
	minJoinWait = 100 * time.Millisecond
	maxJoinWait = 30 * time.Second
)

// +kubebuilder:rbac:groups="",resources=namespaces;services;secrets;configmaps,verbs=get;list;watch
// +kubebuilder:rbac:groups=discovery.k8s.io,resources=endpointslices,verbs=get;list;watch
// +kubebuilder:rbac:groups=gateway.networking.k8s.io,resources=gatewayclasses;gateways;listenersets;httproutes;grpcroutes;tlsroutes;tcproutes;udproutes;referencegrants;backendtlspolicies,verbs=get;list;watch
// +kubebuilder:rbac:groups=gateway.networking.x-k8s.io,resources=xmeshes,verbs=get;list;watch
// +kubebuilder:rbac:groups=citoroute.io,resources=llmroutes;llmbackends;consumers;jwtvalidationpolicies;llmlimitpolicies;llmpricetables;gatewayparameters,verbs=get;list;watch
// +kubebuilder:rbac:groups=apiextensions.k8s.io,resources=customresourcedefinitions,verbs=get;list;watch

// Feed notes the events of all informers in the World. It runs in every
// replica.
type Feed struct {
	world    *World
	identity *Identity
	refusals *Refusals
	cache    cache.Cache
	mapper   meta.RESTMapper
	log      logr.Logger
	// mesh says that there is a webhook.
	mesh bool

	mu sync.Mutex
	// missing has the kinds that the API server does not serve.
	missing map[schema.GroupVersionKind]bool
}

// NeedLeaderElection says that every replica translates.
func (*Feed) NeedLeaderElection() bool { return false }

// Start watches everything and then applies events until ctx is done.
func (f *Feed) Start(ctx context.Context) error {
	f.missing = map[schema.GroupVersionKind]bool{}
	synced, err := f.watchSources(ctx)
	if err != nil {
		return err
	}
	for _, o := range f.ownedKinds() {
		has, err := f.handle(ctx, o, handler(f.ownedChanged))
		if err != nil {
			return err
		}
		synced = append(synced, has)
	}
	if err := f.watchDefinitions(ctx); err != nil {
		return err
	}
	if !toolscache.WaitForCacheSync(ctx.Done(), synced...) {
		return nil // ctx is done
	}
	f.world.run(ctx)
	return nil
}

// watchSources watches what translation reads, as far as the API server serves
// it.
func (f *Feed) watchSources(ctx context.Context) ([]toolscache.InformerSynced, error) {
	var synced []toolscache.InformerSynced
	for _, s := range sources() {
		has, err := f.watch(ctx, s)
		switch {
		case meta.IsNoMatchError(err):
			f.missing[s.kind] = true
			f.log.Info("CustomResourceDefinition is not installed: the kind is ignored until it is", "kind", s.kind.Kind, "apiVersion", s.kind.GroupVersion().String())
		case err != nil:
			return nil, err
		default:
			synced = append(synced, has)
		}
	}
	return synced, nil
}

// watch notes the events of one kind. The error is a NoMatch error for a kind
// that the API server does not serve.
func (f *Feed) watch(ctx context.Context, s source) (toolscache.InformerSynced, error) {
	if _, err := f.mapper.RESTMapping(s.kind.GroupKind(), s.kind.Version); err != nil {
		return nil, err
	}
	return f.handle(ctx, s.object, handler(f.sourceChanged))
}

// handle adds a handler to the informer of an object's kind.
func (f *Feed) handle(ctx context.Context, o client.Object, h toolscache.ResourceEventHandler) (toolscache.InformerSynced, error) {
	informer, err := f.cache.GetInformer(ctx, o, cache.BlockUntilSynced(false))
	if err != nil {
		return nil, fmt.Errorf("watch %T: %w", o, err)
	}
	registration, err := informer.AddEventHandler(h)
	if err != nil {
		return nil, fmt.Errorf("watch %T: %w", o, err)
	}
	return registration.HasSynced, nil
}

// sourceChanged notes an object that translation reads.
func (f *Feed) sourceChanged(in any, gone bool) {
	o, ok := in.(translate.Object)
	if !ok {
		return
	}
	key, ok := translate.KeyOf(o)
	if !ok {
		return
	}
	if gone {
		f.world.note(key, nil)
	} else {
		f.world.note(key, o)
	}
	f.noteOwned(o)
	switch o := o.(type) {
	case *corev1.Secret:
		if !gone {
			f.identity.observe(o)
		}
	case *corev1.ConfigMap:
		f.refusals.observe(o, gone)
	}
}

// ownedKinds are the kinds that are watched by label or name only, for what we
// make of them. Services and ConfigMaps are watched anyway.
func (f *Feed) ownedKinds() []client.Object {
	kinds := []client.Object{&appsv1.Deployment{}, &corev1.ServiceAccount{}, &policyv1.PodDisruptionBudget{}, &autoscalingv2.HorizontalPodAutoscaler{}}
	if f.mesh {
		kinds = append(kinds, &admissionv1.MutatingWebhookConfiguration{})
	}
	return kinds
}

// ownedChanged has drift mended and readiness seen.
func (f *Feed) ownedChanged(in any, _ bool) {
	if _, ok := in.(*admissionv1.MutatingWebhookConfiguration); ok {
		f.world.mesh.Add(webhookKey())
		return
	}
	if o, ok := in.(client.Object); ok {
		f.noteOwned(o)
	}
}

// noteOwned asks for a look at the Gateway that owns o, or at the namespace
// whose sidecars start from it.
func (f *Feed) noteOwned(o metav1.Object) {
	if o.GetLabels()[infra.LabelManagedBy] != infra.ManagedBy {
		return
	}
	if _, ok := o.(*corev1.ConfigMap); ok && o.GetName() == infra.MeshConfig {
		f.world.mesh.Add(namespaceKey(o.GetNamespace()))
	}
	if ref := metav1.GetControllerOf(o); ref != nil && ref.Kind == string(translate.KindGateway) {
		f.world.reconsider(translate.Key{Kind: translate.KindGateway, Namespace: o.GetNamespace(), Name: ref.Name})
	}
}

// watchDefinitions follows CustomResourceDefinitions, of which only the
// metadata is needed.
func (f *Feed) watchDefinitions(ctx context.Context) error {
	definition := &metav1.PartialObjectMetadata{}
	definition.SetGroupVersionKind(apiextensionsv1.SchemeGroupVersion.WithKind("CustomResourceDefinition"))
	_, err := f.handle(ctx, definition, handler(func(in any, gone bool) {
		if o, ok := in.(metav1.Object); ok {
			f.definitionChanged(ctx, o, gone)
		}
	}))
	return err
}

// definitionChanged has the kinds of a definition join or leave.
func (f *Feed) definitionChanged(ctx context.Context, definition metav1.Object, gone bool) {
	if !gone {
		f.checkVersion(definition)
	}
	for _, s := range sources() {
		if s.definition() != definition.GetName() {
			continue
		}
		if gone {
			f.forget(ctx, s)
		} else {
			f.join(ctx, s, minJoinWait)
		}
	}
}

func (f *Feed) checkVersion(definition metav1.Object) {
	if v := definition.GetAnnotations()[annotationBundleVersion]; v != "" && v != bundleVersion {
		f.log.Info("Gateway API of another version is installed: fields that it lacks are not served",
			"customResourceDefinition", definition.GetName(), "installed", v, "expected", bundleVersion)
	}
}

// join watches a kind that was missing, if it is served by now. The API server
// publishes a new kind some time after its definition is established, without
// another event, so there are a few more attempts.
func (f *Feed) join(ctx context.Context, s source, wait time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.missing[s.kind] || ctx.Err() != nil {
		return
	}
	_, err := f.watch(ctx, s)
	switch {
	case err == nil:
		delete(f.missing, s.kind)
		f.log.Info("CustomResourceDefinition was installed: the kind is served from now on", "kind", s.kind.Kind)
		return
	case !meta.IsNoMatchError(err): // the API server cannot say
		f.log.Error(err, "Kind is not watched yet", "kind", s.kind.Kind, "retryIn", wait.String())
	case wait == maxJoinWait:
		f.log.Info("CustomResourceDefinition does not serve the version that is needed", "kind", s.kind.Kind, "apiVersion", s.kind.GroupVersion().String())
		return
	}
	time.AfterFunc(wait, func() { f.join(ctx, s, min(2*wait, maxJoinWait)) })
}

// forget drops a kind whose definition is gone. The API server deleted its
// objects before; where that was not heard of, for the kind's watch was broken,
// nobody tells it any more.
func (f *Feed) forget(ctx context.Context, s source) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.missing[s.kind] = true
	if err := f.cache.RemoveInformer(ctx, s.object); err != nil {
		f.log.Error(err, "Informer was not removed", "kind", s.kind.Kind)
	}
	f.world.noteNone(translate.Kind(s.kind.Kind))
	f.log.Info("CustomResourceDefinition was removed: the kind is ignored", "kind", s.kind.Kind)
}

// handler adapts a function to informer events.
func handler(changed func(o any, gone bool)) toolscache.ResourceEventHandler {
	return toolscache.ResourceEventHandlerFuncs{
		AddFunc:    func(o any) { changed(o, false) },
		UpdateFunc: func(_, o any) { changed(o, false) },
		DeleteFunc: func(o any) { changed(lastKnown(o), true) },
	}
}

// lastKnown returns a deleted object, which comes wrapped where its deletion
// was missed.
func lastKnown(o any) any {
	if last, ok := o.(toolscache.DeletedFinalStateUnknown); ok {
		return last.Obj
	}
	return o
}

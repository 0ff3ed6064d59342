package controller

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/citoroute/citoroute/internal/infra"
)

const (
	// labelRefusals is on the ConfigMaps of refusals, and keyRefusals is their key.
	labelRefusals = "citoroute.io/refusals"
	keyRefusals   = "refusals.json"
	// A ConfigMap has room for 1 MiB, and JSON may take six bytes for one.
	maxRefusals = 300
	maxRefusal  = 512 // bytes
)

// Refusals tells all replicas what proxies refuse: a proxy is connected to one of
// them, and the leader, which writes status, may be another. Each replica keeps
// a ConfigMap of what its proxies refuse, as long as they do, and reads those
// of all. A ConfigMap belongs to the replica's Pod and goes with it.
type Refusals struct {
	client client.Client
	// pod is this replica's. Without a name nothing is written.
	pod types.NamespacedName
	uid types.UID
	log logr.Logger
	// changed is called with a node of which another refusal is known.
	changed func(node string)
	// wake holds a token when own differs from what was written.
	wake chan struct{}

	mu sync.Mutex
	// own maps nodes to why a proxy that is connected here refused.
	own map[string]string
	// all has the same of every replica, by the name of its ConfigMap.
	all map[string]map[string]string
}

func newRefusals(c client.Client, o Options, log logr.Logger, changed func(node string)) *Refusals {
	return &Refusals{
		client: c, pod: types.NamespacedName{Namespace: o.Namespace, Name: o.PodName}, uid: o.PodUID,
		log: log.WithName("refusals"), changed: changed, wake: make(chan struct{}, 1),
		own: map[string]string{}, all: map[string]map[string]string{},
	}
}

// NeedLeaderElection says that every replica tells.
func (*Refusals) NeedLeaderElection() bool { return false }

// Start writes what there is to tell, until ctx is done. It begins at once: a
// former process of the same Pod may have left something.
func (r *Refusals) Start(ctx context.Context) error {
	if r.pod.Name == "" {
		r.log.Info("The Pod's name is not known: other replicas do not learn what proxies refuse here")
		return nil
	}
	for {
		var again <-chan time.Time
		if err := r.write(ctx); err != nil && ctx.Err() == nil {
			r.log.Error(err, "Other replicas were not told what proxies refuse here")
			again = time.After(retryEvery)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-r.wake:
		case <-again:
		}
	}
}

// note takes in why a proxy that is connected here refuses the configuration of
// a node, which state returns; empty: none does.
func (r *Refusals) note(node string, state func(node string) string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	reason := cut(state(node)) // as it is now: two calls may come in either order
	if r.own[node] == reason {
		return
	}
	if reason == "" {
		delete(r.own, node)
	} else {
		r.own[node] = reason
	}
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// cut shortens a reason to what a ConfigMap has room for.
func cut(reason string) string {
	if len(reason) <= maxRefusal {
		return reason
	}
	return strings.ToValidUTF8(reason[:maxRefusal], "")
}

// write makes the ConfigMap what this replica has to tell. It does not look at
// the cache, which may not know yet what was written last.
func (r *Refusals) write(ctx context.Context) error {
	config, err := r.configMap()
	if err != nil {
		return err
	}
	if config.Data == nil {
		if err := client.IgnoreNotFound(r.client.Delete(ctx, config)); err != nil {
			return fmt.Errorf("delete ConfigMap %s/%s: %w", config.Namespace, config.Name, err)
		}
		return nil
	}
	wanted, err := intent(config)
	if err != nil {
		return err
	}
	err = r.client.Apply(ctx, client.ApplyConfigurationFromUnstructured(wanted), client.FieldOwner(infra.ManagedBy), client.ForceOwnership)
	if err != nil {
		return fmt.Errorf("apply ConfigMap %s/%s: %w", config.Namespace, config.Name, err)
	}
	return nil
}

// configMap returns what this replica has to tell, without data if that is nothing.
func (r *Refusals) configMap() (*corev1.ConfigMap, error) {
	config := &corev1.ConfigMap{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "ConfigMap"},
		ObjectMeta: metav1.ObjectMeta{
			Namespace: r.pod.Namespace, Name: r.pod.Name + "-refusals",
			Labels:          map[string]string{infra.LabelManagedBy: infra.ManagedBy, labelRefusals: "true"},
			OwnerReferences: []metav1.OwnerReference{{APIVersion: "v1", Kind: "Pod", Name: r.pod.Name, UID: r.uid}},
		},
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.own) == 0 {
		return config, nil
	}
	told := map[string]string{}
	for _, node := range slices.Sorted(maps.Keys(r.own)) {
		if len(told) == maxRefusals {
			r.log.Info("Other replicas do not learn of all that proxies refuse here", "nodes", len(r.own), "told", maxRefusals)
			break
		}
		told[node] = r.own[node]
	}
	text, err := json.Marshal(told)
	if err != nil {
		return nil, fmt.Errorf("encode refusals: %w", err)
	}
	config.Data = map[string]string{keyRefusals: string(text)}
	return config, nil
}

// observe takes a replica's ConfigMap in; others are ignored.
func (r *Refusals) observe(config *corev1.ConfigMap, gone bool) {
	if config.Namespace != r.pod.Namespace || config.Labels[labelRefusals] == "" || !managed(config) {
		return
	}
	var now map[string]string
	if !gone {
		if err := json.Unmarshal([]byte(config.Data[keyRefusals]), &now); err != nil {
			r.log.Error(err, "ConfigMap is unusable", "configMap", config.Name, "key", keyRefusals)
		}
	}
	r.mu.Lock()
	before := r.all[config.Name]
	if len(now) == 0 {
		delete(r.all, config.Name)
	} else {
		r.all[config.Name] = now
	}
	r.mu.Unlock()
	for _, node := range difference(before, now) {
		r.changed(node)
	}
}

// difference returns the keys that do not have the same value in both, sorted.
func difference(a, b map[string]string) []string {
	var out []string
	for key := range a {
		if a[key] != b[key] {
			out = append(out, key)
		}
	}
	for key := range b {
		if _, ok := a[key]; !ok {
			out = append(out, key)
		}
	}
	slices.Sort(out)
	return out
}

// of returns why a proxy of a node refuses, at whatever replica; empty: none does.
func (r *Refusals) of(node string) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, replica := range slices.Sorted(maps.Keys(r.all)) {
		if reason := r.all[replica][node]; reason != "" {
			return reason
		}
	}
	return ""
}

package controller

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/cache/informertest"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/citoroute/citoroute/internal/translate"
)

// flakyMapper fails so many times before it knows every kind.
type flakyMapper struct {
	meta.RESTMapper

	failures int
}

func (m *flakyMapper) RESTMapping(schema.GroupKind, ...string) (*meta.RESTMapping, error) {
	if m.failures--; m.failures >= 0 {
		return nil, errors.New("the server is currently unable to handle the request")
	}
	return &meta.RESTMapping{}, nil
}

// newTestFeed returns a feed into no world, and one of its sources.
func newTestFeed(t *testing.T, kind translate.Kind) (*Feed, source) {
	t.Helper()
	scheme, err := NewScheme()
	if err != nil {
		t.Fatal(err)
	}
	f := &Feed{
		cache: &informertest.FakeInformers{Scheme: scheme}, mapper: &flakyMapper{},
		log: logr.Discard(), missing: map[schema.GroupVersionKind]bool{},
	}
	for _, s := range sources() {
		if s.kind.Kind == string(kind) {
			return f, s
		}
	}
	t.Fatalf("%s is no source", kind)
	return nil, source{}
}

// TestFeed_ForgetsTheObjectsOfAKind is a definition that is removed while the
// watch of its kind is broken: nobody tells that its objects are gone.
func TestFeed_ForgetsTheObjectsOfAKind(t *testing.T) {
	f, s := newTestFeed(t, translate.KindGateway)
	f.world = emptyWorld(t)
	gateway, pending, other := newGateway("ns", "web", "citoroute"), newGateway("ns", "new", "citoroute"), newRoute("ns", "r", "web", "a.test")
	note(t, f.world, gateway, other)
	f.world.apply()
	note(t, f.world, pending)
	f.forget(t.Context(), s)
	f.world.apply()
	for _, o := range []*gatewayv1.Gateway{gateway, pending} {
		if still, _ := f.world.object(keyOf(o)); still != nil {
			t.Errorf("Gateway %s is still there", o.Name)
		}
	}
	if key, _ := translate.KeyOf(other); f.world.engine.Object(key) == nil {
		t.Error("an object of another kind is gone")
	}
}

// TestFeed_JoinsWhenTheAPIServerIsBack is a kind that is installed while the API
// server cannot say what it serves, for much longer than it takes to publish one.
func TestFeed_JoinsWhenTheAPIServerIsBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		f, s := newTestFeed(t, translate.KindTCPRoute)
		f.mapper = &flakyMapper{failures: 100}
		f.missing[s.kind] = true
		f.join(ctx, s, minJoinWait)
		time.Sleep(time.Hour)
		f.mu.Lock()
		defer f.mu.Unlock()
		if f.missing[s.kind] {
			t.Error("the kind is still missing")
		}
	})
}

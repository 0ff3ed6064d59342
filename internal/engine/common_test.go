package engine_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/citoroute/citoroute/internal/ir"
)

// routeTo is meshRoute with another backend.
func routeTo(in, name, service string) *gatewayv1.HTTPRoute {
	r := meshRoute(in, name)
	r.Spec.Rules[0].BackendRefs[0].Name = gatewayv1.ObjectName(service)
	return r
}

func TestApply_MeshConsumerGoesWithoutWhatOnlyTheProducerNeeds(t *testing.T) {
	e := mesh(t)
	e.Apply(set(t, service("b"), slice("b", "10.0.0.2"))...)
	replaced := []string{
		"+endpoints service/ns/b:80", "+backend service/ns/b:80", "+" + consumerRoute,
		"-" + producerRoute, "-backend service/ns/a:80", "-endpoints service/ns/a:80",
	}
	compareUpdates(t, e.Apply(set(t, routeTo("client", "own", "b"))...), map[string][]string{"mesh/client": replaced}, nil)
	compareUpdates(t, e.Apply(set(t, slice("a", "10.0.0.3"))...), map[string][]string{"mesh/ns": {"+endpoints service/ns/a:80"}}, nil)

	// The producer's second route is for another Service, so the consumer has it,
	// and with it the backend.
	other := meshRoute("ns", "other")
	other.Spec.ParentRefs[0].Name = "second"
	added := []string{"+listener mesh/ns/second/80", "+route httproute/ns/other@mesh/ns/second/80"}
	compareUpdates(t, e.Apply(set(t, frontend("second", "10.96.0.2", 80), other)...), map[string][]string{
		"mesh/ns":     added,
		"mesh/client": append([]string{"+endpoints service/ns/a:80", "+backend service/ns/a:80"}, added...),
	}, nil)
}

func TestApply_MeshNodesShareResources(t *testing.T) {
	e := mesh(t)
	e.Apply(set(t, namespace("third", "enabled"), routeTo("client", "own", "a"))...)
	resources := func(node string) map[ir.Ref]ir.Resource {
		out := map[ir.Ref]ir.Resource{}
		for _, r := range e.Snapshot(node).Upserts {
			out[ir.RefOf(r)] = r
		}
		return out
	}
	ns, third := resources("mesh/ns"), resources("mesh/third")
	for ref, r := range ns {
		if third[ref] != r {
			t.Errorf("%v is there twice", ref)
		}
	}
	result := e.Apply(set(t, slice("a", "10.0.0.9"))...)
	if diff := cmp.Diff([]string{"+endpoints service/ns/a:80"}, names(result.Mesh)); diff != "" {
		t.Errorf("what changed for all (-want +got):\n%s", diff)
	}
	for _, node := range []string{"mesh/ns", "mesh/third"} {
		if got := result.Nodes[node].Upserts; len(got) != 1 || got[0] != result.Mesh.Upserts[0] {
			t.Errorf("%s got a resource of its own: %v", node, fmt.Sprint(got))
		}
	}
}

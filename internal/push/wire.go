package push

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	rpcstatus "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/citoroute/citoroute/internal/ir"
)

const (
	typePrefix = "type.citoroute.io/"
	// configType is the type URL of the one subscription of a stream: every
	// resource of the node.
	configType = typePrefix + "config"
	// refType marks an error detail that names the resource at fault.
	refType = typePrefix + "ref"

	// unsure is the version of a resource that a proxy refused: it may have it or
	// not. It differs from every real one.
	unsure = "unsure"

	tokenHeader = "authorization"
	tokenPrefix = "Bearer "
)

// nameOf returns the wire name of a resource: <type>/<name>.
func nameOf(ref ir.Ref) string { return string(ref.Type) + "/" + ref.Name }

// refOf is the inverse of nameOf. It says whether this proxy knows the type.
func refOf(name string) (ref ir.Ref, known bool, err error) {
	t, rest, ok := strings.Cut(name, "/")
	if !ok {
		return ir.Ref{}, false, fmt.Errorf("resource name %q has no type", name)
	}
	ref = ir.Ref{Type: ir.Type(t), Name: rest}
	return ref, slices.Contains(ir.Types(), ref.Type), nil
}

// rank is the place of a wire name's type in ir.Types.
func rank(name string) int {
	t, _, _ := strings.Cut(name, "/")
	return slices.Index(ir.Types(), ir.Type(t))
}

// listenerRank is the rank of listeners.
func listenerRank() int { return slices.Index(ir.Types(), ir.TypeListener) }

// byDependency compares wire names by the order in which a proxy can make
// resources live one after the other.
func byDependency(a, b string) int { return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a, b)) }

// sortResponse puts what is added in the order of dependency, and what is removed
// against it.
func sortResponse(response *discoveryv3.DeltaDiscoveryResponse) {
	slices.SortFunc(response.GetResources(), func(a, b *discoveryv3.Resource) int { return byDependency(a.GetName(), b.GetName()) })
	slices.SortFunc(response.GetRemovedResources(), func(a, b string) int { return byDependency(b, a) })
}

// encode returns the wire form of r.
func encode(r ir.Resource) (*discoveryv3.Resource, error) {
	body, err := ir.Encode(r)
	if err != nil {
		return nil, err
	}
	return &discoveryv3.Resource{
		Name:     nameOf(ir.RefOf(r)),
		Version:  ir.Version(body),
		Resource: &anypb.Any{TypeUrl: typePrefix + string(r.ResourceType()), Value: body},
	}, nil
}

// change is an update on its way to a node: resources by wire name, nil for what
// is removed.
type change struct {
	resources map[string]*discoveryv3.Resource
	complete  bool
}

// encoder holds the wire forms of resources that are in many updates.
type encoder map[ir.Resource]*discoveryv3.Resource

func (e encoder) change(u ir.Update) (change, error) {
	c := change{resources: make(map[string]*discoveryv3.Resource, len(u.Upserts)+len(u.Removed)), complete: u.Complete}
	for _, r := range u.Upserts {
		if e[r] == nil {
			encoded, err := encode(r)
			if err != nil {
				return change{}, err
			}
			e[r] = encoded
		}
		c.resources[e[r].GetName()] = e[r]
	}
	for _, ref := range u.Removed {
		c.resources[nameOf(ref)] = nil
	}
	return c, nil
}

// equal says that two updates are of the very same resources.
func equal(a, b ir.Update) bool {
	return a.Complete == b.Complete && slices.Equal(a.Upserts, b.Upserts) && slices.Equal(a.Removed, b.Removed)
}

// decode returns the update that a response asks for. complete says that the
// receiver has nothing yet. Resources of types that this proxy does not know
// are left out: a newer controller may send them.
func decode(response *discoveryv3.DeltaDiscoveryResponse, complete bool) (ir.Update, error) {
	u := ir.Update{Complete: complete}
	for _, in := range response.GetResources() {
		ref, known, err := refOf(in.GetName())
		if err != nil {
			return ir.Update{}, err
		}
		if !known {
			continue
		}
		r, err := ir.Decode(ref.Type, in.GetResource().GetValue())
		if err != nil {
			return ir.Update{}, &ir.ResourceError{Resource: ref, Err: err}
		}
		u.Upserts = append(u.Upserts, r)
	}
	removed, err := decodeRemoved(response.GetRemovedResources())
	if err != nil {
		return ir.Update{}, err
	}
	u.Removed = removed
	return u, nil
}

func decodeRemoved(names []string) ([]ir.Ref, error) {
	var out []ir.Ref
	for _, name := range names {
		ref, known, err := refOf(name)
		if err != nil {
			return nil, err
		}
		if known {
			out = append(out, ref)
		}
	}
	return out, nil
}

// rejection returns the wire form of an error of a sink.
func rejection(err error) *rpcstatus.Status {
	s := &rpcstatus.Status{Code: int32(codes.InvalidArgument), Message: err.Error()}
	for _, ref := range blamed(err) {
		s.Details = append(s.Details, &anypb.Any{TypeUrl: refType, Value: []byte(nameOf(ref))})
	}
	return s
}

// blamed returns the resources of every [ir.ResourceError] in the tree of err.
func blamed(err error) []ir.Ref {
	switch e := err.(type) { //nolint:errorlint // this is the walk that errors.As does, for all and not for the first.
	case *ir.ResourceError:
		return []ir.Ref{e.Resource}
	case interface{ Unwrap() error }:
		return blamed(e.Unwrap())
	case interface{ Unwrap() []error }:
		var out []ir.Ref
		for _, err := range e.Unwrap() {
			out = append(out, blamed(err)...)
		}
		return out
	}
	return nil
}

// culprits returns the wire names of the resources that a nack blames.
func culprits(s *rpcstatus.Status) []string {
	var out []string
	for _, d := range s.GetDetails() {
		if d.GetTypeUrl() == refType {
			out = append(out, string(d.GetValue()))
		}
	}
	return out
}

// hello is the first message of a stream.
func hello(node, proxy, version string, have map[string]string) *discoveryv3.DeltaDiscoveryRequest {
	return &discoveryv3.DeltaDiscoveryRequest{
		Node: &corev3.Node{
			Id:                   node,
			UserAgentName:        proxy,
			UserAgentVersionType: &corev3.Node_UserAgentVersion{UserAgentVersion: version},
		},
		TypeUrl:                 configType,
		InitialResourceVersions: have,
	}
}

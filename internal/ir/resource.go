package ir

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
)

// Type names a kind of resource on the wire and in a config dump.
type Type string

// The resource types, in the order in which a proxy must make them live: a
// resource only refers to resources of types earlier in [Types].
const (
	TypeSecret    Type = "secret"
	TypePolicy    Type = "policy"
	TypeEndpoints Type = "endpoints"
	TypeBackend   Type = "backend"
	TypeListener  Type = "listener"
	TypeRoute     Type = "route"
)

// Types lists every resource type in dependency order: additions are applied
// from first to last, removals from last to first.
func Types() []Type {
	return []Type{TypeSecret, TypePolicy, TypeEndpoints, TypeBackend, TypeListener, TypeRoute}
}

// Resource is one named part of a node's configuration. Implementations are
// pointers to the structs of this package and are immutable once published.
type Resource interface {
	// ResourceType says which type the resource is.
	ResourceType() Type
	// ResourceName is unique among the resources of one type and node.
	ResourceName() string
}

// Source names the Kubernetes object that a resource came from, so that logs,
// metrics, status and `citoroute explain` can name it.
type Source struct {
	Kind      string `json:"kind,omitempty"`
	Namespace string `json:"namespace,omitempty"`
	Name      string `json:"name,omitempty"`
	// Section is a part of the object: a listener name, or a rule's name or index.
	Section string `json:"section,omitempty"`
}

// String returns Kind/namespace/name, followed by #section where there is one.
func (s Source) String() string {
	out := s.Kind + "/" + s.Namespace + "/" + s.Name
	if s.Section != "" {
		out += "#" + s.Section
	}
	return out
}

// New returns an empty resource of type t to decode into.
func New(t Type) (Resource, error) {
	switch t {
	case TypeSecret:
		return &Secret{}, nil
	case TypePolicy:
		return &Policy{}, nil
	case TypeEndpoints:
		return &Endpoints{}, nil
	case TypeBackend:
		return &Backend{}, nil
	case TypeListener:
		return &Listener{}, nil
	case TypeRoute:
		return &Route{}, nil
	}
	return nil, fmt.Errorf("unknown resource type %q", t)
}

// Encode returns the canonical wire form of r: equal resources give equal
// bytes. Secret bytes are included; use [Redacted] for anything that a person
// or a log may see.
func Encode(r Resource) ([]byte, error) {
	b, err := json.Marshal(wire(r))
	if err != nil {
		return nil, fmt.Errorf("encode %s %s: %w", r.ResourceType(), r.ResourceName(), err)
	}
	return b, nil
}

// Decode is the inverse of [Encode]. Unknown fields are ignored, so that a
// proxy accepts a newer controller's resources.
func Decode(t Type, b []byte) (Resource, error) {
	r, err := New(t)
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(b, wire(r)); err != nil {
		return nil, fmt.Errorf("decode %s: %w", t, err)
	}
	return r, nil
}

// Version returns the content hash of an encoded resource: 16 hexadecimal
// digits.
func Version(encoded []byte) string {
	sum := sha256.Sum256(encoded)
	return hex.EncodeToString(sum[:8])
}

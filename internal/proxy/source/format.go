package source

import (
	"encoding/json"
	"fmt"

	"github.com/citoroute/citoroute/internal/ir"
)

// entry is one resource of a file: an array of these is the whole file.
type entry struct {
	Type     ir.Type         `json:"type"`
	Resource json.RawMessage `json:"resource"`
}

// Marshal returns resources as the contents of a configuration file: a JSON
// array of {"type": …, "resource": …}. Secret bytes are included.
func Marshal(resources []ir.Resource) ([]byte, error) {
	entries := make([]entry, len(resources))
	for i, r := range resources {
		body, err := ir.Encode(r)
		if err != nil {
			return nil, err
		}
		entries[i] = entry{r.ResourceType(), body}
	}
	b, err := json.MarshalIndent(entries, "", " ")
	if err != nil {
		return nil, fmt.Errorf("marshal configuration: %w", err)
	}
	return append(b, '\n'), nil
}

// Unmarshal reads the contents of a configuration file. The error says which
// entry is wrong.
func Unmarshal(b []byte) ([]ir.Resource, error) {
	var entries []entry
	if err := json.Unmarshal(b, &entries); err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	resources := make([]ir.Resource, len(entries))
	seen := make(map[ir.Ref]bool, len(entries))
	for i, e := range entries {
		r, err := e.decode(seen)
		if err != nil {
			return nil, fmt.Errorf("read configuration: entry %d: %w", i, err)
		}
		resources[i] = r
	}
	return resources, nil
}

// decode returns a resource that has a name and is none of those in seen, to
// which it is added.
func (e entry) decode(seen map[ir.Ref]bool) (ir.Resource, error) {
	r, err := ir.Decode(e.Type, e.Resource)
	if err != nil {
		return nil, err
	}
	ref := ir.RefOf(r)
	if ref.Name == "" {
		return nil, fmt.Errorf("a %s without a name", e.Type)
	}
	if seen[ref] {
		return nil, fmt.Errorf("a second %s %s", ref.Type, ref.Name)
	}
	seen[ref] = true
	return r, nil
}

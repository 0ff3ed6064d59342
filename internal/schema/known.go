package schema

import (
	"maps"
	"slices"
	"strings"

	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
)

// instead names the fields that there are beside an unknown one; "" where that
// can not be told. path is as pruning reports it, such as "spec.rules[0].backend".
func instead(s *schema.Structural, path string) string {
	steps := strings.Split(path, ".")
	for _, step := range steps[:len(steps)-1] {
		name, index, _ := strings.Cut(step, "[")
		next, ok := s.Properties[name]
		if !ok {
			return ""
		}
		s = &next
		for range strings.Count(index, "]") {
			if s.Items == nil {
				return ""
			}
			s = s.Items
		}
	}
	if len(s.Properties) == 0 {
		return ""
	}
	return "; there are " + strings.Join(slices.Sorted(maps.Keys(s.Properties)), ", ")
}

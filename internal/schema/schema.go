package schema

import (
	"context"
	"embed"
	"encoding/json"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"sync"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/defaulting"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/listtype"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/pruning"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	gvk "k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
	apiservercel "k8s.io/apiserver/pkg/apis/cel"
	"sigs.k8s.io/yaml"

	"github.com/citoroute/citoroute/config/crd"
)

//go:embed gatewayapi/*.json
var gatewayAPI embed.FS

// Set holds the schemas of all kinds. It is safe for concurrent use.
type Set struct {
	kinds map[gvk.GroupVersionKind]*kind
}

// kind is one version of a CustomResourceDefinition.
type kind struct {
	namespaced bool
	props      *apiextensionsv1.JSONSchemaProps
	compile    func() (*compiled, error)
}

// compiled is a schema made ready.
type compiled struct {
	structural *schema.Structural
	openAPI    validation.SchemaValidator
	rules      *cel.Validator // nil: none
}

// Load reads the schemas that the program carries.
func Load() (*Set, error) {
	s := &Set{kinds: map[gvk.GroupVersionKind]*kind{}}
	for _, source := range []struct {
		files fs.FS
		dir   string
	}{{gatewayAPI, "gatewayapi"}, {crd.Files, "bases"}} {
		entries, err := fs.ReadDir(source.files, source.dir)
		if err != nil {
			return nil, fmt.Errorf("list schemas: %w", err)
		}
		for _, e := range entries {
			b, err := fs.ReadFile(source.files, path.Join(source.dir, e.Name()))
			if err != nil {
				return nil, fmt.Errorf("read schema: %w", err)
			}
			if err := s.add(b); err != nil {
				return nil, fmt.Errorf("schema %s: %w", e.Name(), err)
			}
		}
	}
	return s, nil
}

func (s *Set) add(b []byte) error {
	var def apiextensionsv1.CustomResourceDefinition
	decode := func(b []byte, v any) error { return yaml.Unmarshal(b, v) }
	if b[0] == '{' {
		decode = json.Unmarshal // many times faster
	}
	if err := decode(b, &def); err != nil {
		return fmt.Errorf("decode: %w", err)
	}
	for i := range def.Spec.Versions {
		v := &def.Spec.Versions[i]
		if !v.Served || v.Schema == nil {
			continue
		}
		k := &kind{
			namespaced: def.Spec.Scope == apiextensionsv1.NamespaceScoped,
			props:      v.Schema.OpenAPIV3Schema,
		}
		k.compile = sync.OnceValues(k.compileSchema)
		s.kinds[gvk.GroupVersionKind{Group: def.Spec.Group, Version: v.Name, Kind: def.Spec.Names.Kind}] = k
	}
	return nil
}

func (k *kind) compileSchema() (*compiled, error) {
	var internal apiextensions.JSONSchemaProps
	if err := apiextensionsv1.Convert_v1_JSONSchemaProps_To_apiextensions_JSONSchemaProps(k.props, &internal, nil); err != nil {
		return nil, fmt.Errorf("convert schema: %w", err)
	}
	structural, err := schema.NewStructural(&internal)
	if err != nil {
		return nil, fmt.Errorf("structural schema: %w", err)
	}
	openAPI, _, err := validation.NewSchemaValidator(&internal)
	if err != nil {
		return nil, fmt.Errorf("schema validator: %w", err)
	}
	return &compiled{structural, openAPI, cel.NewValidator(structural, true, apiservercel.PerCallLimit)}, nil
}

// Has says whether k is a kind of the set, and whether its objects live in a
// namespace.
func (s *Set) Has(k gvk.GroupVersionKind) (namespaced, ok bool) {
	found, ok := s.kinds[k]
	return ok && found.namespaced, ok
}

// Versions returns the versions in which the set has a kind, in no order.
func (s *Set) Versions(k gvk.GroupKind) []string {
	var out []string
	for have := range s.kinds {
		if have.GroupKind() == k {
			out = append(out, have.Version)
		}
	}
	return out
}

// Kinds returns the kinds of a group, sorted.
func (s *Set) Kinds(group string) []string {
	return s.distinct(func(k gvk.GroupVersionKind) (string, bool) { return k.Kind, k.Group == group })
}

// GroupsOf returns the groups that have a kind of that name, sorted.
func (s *Set) GroupsOf(kind string) []string {
	return s.distinct(func(k gvk.GroupVersionKind) (string, bool) { return k.Group, k.Kind == kind })
}

// distinct returns what name finds in the kinds, each once, sorted.
func (s *Set) distinct(name func(gvk.GroupVersionKind) (string, bool)) []string {
	var out []string
	for have := range s.kinds {
		if n, ok := name(have); ok {
			out = append(out, n)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// Admit puts the schema's defaults into obj and then says what is wrong with
// it, field by field; nothing: an API server would take it. Status is dropped.
// obj must be as k8s.io/apimachinery's JSON decoder makes it: numbers are int64
// or float64. The error is about the schema, not about obj.
func (s *Set) Admit(ctx context.Context, k gvk.GroupVersionKind, obj map[string]any) (field.ErrorList, error) {
	known, ok := s.kinds[k]
	if !ok {
		return nil, fmt.Errorf("%s: no schema for this kind", k)
	}
	c, err := known.compile()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", k, err)
	}
	delete(obj, "status")
	var errs field.ErrorList
	unknown := pruning.PruneWithOptions(obj, c.structural, true, schema.UnknownFieldPathOptions{TrackUnknownFieldPaths: true})
	for _, p := range unknown {
		errs = append(errs, field.Invalid(field.NewPath(p), field.OmitValueType{}, "unknown field"+instead(c.structural, p)))
	}
	defaulting.PruneNonNullableNullsWithoutDefaults(obj, c.structural)
	defaulting.Default(obj, c.structural)
	bad := validation.ValidateCustomResource(nil, obj, c.openAPI)
	bad = append(bad, listtype.ValidateListSetsAndMaps(nil, c.structural, obj)...)
	errs = append(errs, bad...)
	if c.rules != nil && len(bad) == 0 { // as an API server: rules see well-formed objects only
		broken, _ := c.rules.Validate(ctx, nil, c.structural, obj, nil, apiservercel.RuntimeCELCostBudget)
		errs = append(errs, broken...)
	}
	delete(obj, "status") // its default
	return errs, nil
}

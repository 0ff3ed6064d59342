package standalone

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	gvk "k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
	kubejson "sigs.k8s.io/json"

	"github.com/citoroute/citoroute/api/v1alpha1"
	"github.com/citoroute/citoroute/internal/schema"
	"github.com/citoroute/citoroute/internal/translate"
)

// defaultNamespace is where an object lives that names no namespace.
const defaultNamespace = "default"

// decoder makes objects of documents, as strictly as an API server.
type decoder struct {
	scheme  *runtime.Scheme
	schemas *schema.Set
	// versions is the version of each kind that translation reads.
	versions map[gvk.GroupKind]string
}

func newDecoder() (*decoder, error) {
	d := &decoder{scheme: runtime.NewScheme(), versions: map[gvk.GroupKind]string{}}
	for _, add := range []func(*runtime.Scheme) error{corev1.AddToScheme, discoveryv1.AddToScheme, gatewayv1.Install, v1alpha1.AddToScheme} {
		if err := add(d.scheme); err != nil {
			return nil, fmt.Errorf("scheme: %w", err)
		}
	}
	for known := range d.scheme.AllKnownTypes() {
		d.versions[known.GroupKind()] = known.Version
	}
	var err error
	d.schemas, err = schema.Load()
	return d, err
}

// refusal is what is wrong with one document.
type refusal struct {
	object   string
	key      translate.Key // zero where it is not known
	problems []Problem
}

// decode makes an object of a document. Exactly one of the two is returned,
// or neither for a document that is nothing to us and worth no word.
func (d *decoder) decode(ctx context.Context, doc document) (translate.Object, *refusal) {
	apiVersion, _ := doc.fields["apiVersion"].(string)
	kind, _ := doc.fields["kind"].(string)
	r := &refusal{}
	refuse := func(path, format string, args ...any) {
		r.problems = append(r.problems, Problem{
			File: doc.file, Line: doc.line, Object: r.object, Field: path, Message: fmt.Sprintf(format, args...),
		})
	}
	switch {
	case kind == "":
		refuse("kind", "required: this is no Kubernetes object")
		return nil, r
	case apiVersion == "":
		r.object = kind
		refuse("apiVersion", "required")
		return nil, r
	}
	id := gvk.FromAPIVersionAndKind(apiVersion, kind)
	name, namespace := d.identity(doc.fields, id)
	r.object = translate.Key{Kind: translate.Kind(kind), Namespace: namespace, Name: name}.String()
	if problem := d.reads(id); problem != nil {
		problem.File, problem.Line, problem.Object = doc.file, doc.line, r.object
		r.problems = append(r.problems, *problem)
		return nil, r
	}
	r.key = translate.Key{Kind: translate.Kind(kind), Namespace: namespace, Name: name}
	obj, errs := d.admit(ctx, id, doc.fields)
	for _, e := range errs {
		refuse(strings.TrimPrefix(e.Field, "<nil>"), "%s", e.ErrorBody())
	}
	if len(r.problems) > 0 {
		return nil, r
	}
	return obj, nil
}

// identity reads name and namespace of a document and puts the default
// namespace in.
func (d *decoder) identity(fields map[string]any, id gvk.GroupVersionKind) (name, namespace string) {
	meta, _ := fields["metadata"].(map[string]any)
	name, _ = meta["name"].(string)
	namespace, _ = meta["namespace"].(string)
	if meta != nil && namespace == "" && d.namespaced(id) {
		namespace = defaultNamespace
		meta["namespace"] = namespace
	}
	return name, namespace
}

func (d *decoder) namespaced(id gvk.GroupVersionKind) bool {
	if namespaced, ok := d.schemas.Has(id); ok {
		return namespaced
	}
	return id.Kind != string(translate.KindNamespace)
}

// reads says why a kind is not read; nil: it is.
func (d *decoder) reads(id gvk.GroupVersionKind) *Problem {
	ours := id.Group == gatewayv1.GroupName || id.Group == v1alpha1.GroupVersion.Group
	versions := d.schemas.Versions(id.GroupKind())
	if version, ok := d.versions[id.GroupKind()]; ok && len(versions) == 0 && !ours {
		versions = []string{version}
	}
	slices.Sort(versions)
	switch {
	case len(versions) == 0 && ours:
		return &Problem{Field: "kind", Message: fmt.Sprintf("there is no kind %q in %s", id.Kind, id.Group)}
	case len(versions) == 0:
		return &Problem{Ignored: true, Message: "ignored: not a kind that routing depends on"}
	case !slices.Contains(versions, id.Version):
		return &Problem{Field: "apiVersion", Message: fmt.Sprintf("there is no version %q of %s; use %s", id.Version, id.Kind, strings.Join(versions, " or "))}
	}
	empty, err := d.empty(id.GroupKind())
	if err != nil {
		return &Problem{Field: "kind", Message: err.Error()}
	}
	if _, ok := translate.KindOf(empty); !ok {
		return &Problem{Ignored: !ours, Message: "ignored: this kind is not supported yet"}
	}
	return nil
}

// empty returns an object of the Go type that a kind is decoded into.
func (d *decoder) empty(kind gvk.GroupKind) (translate.Object, error) {
	obj, err := d.scheme.New(kind.WithVersion(d.versions[kind]))
	if err != nil {
		return nil, fmt.Errorf("not supported: %w", err)
	}
	out, ok := obj.(translate.Object)
	if !ok {
		return nil, fmt.Errorf("%T is not an object", obj)
	}
	return out, nil
}

// admit checks a document, puts defaults in and decodes it.
func (d *decoder) admit(ctx context.Context, id gvk.GroupVersionKind, fields map[string]any) (translate.Object, field.ErrorList) {
	var errs field.ErrorList
	if _, ok := d.schemas.Has(id); ok {
		var err error
		if errs, err = d.schemas.Admit(ctx, id, fields); err != nil {
			return nil, field.ErrorList{field.InternalError(nil, err)}
		}
		// All versions of these kinds have one form (conversion strategy None).
		fields["apiVersion"] = gvk.GroupVersion{Group: id.Group, Version: d.versions[id.GroupKind()]}.String()
	}
	if len(errs) > 0 {
		return nil, errs
	}
	obj, err := d.empty(id.GroupKind())
	if err != nil {
		return nil, field.ErrorList{field.InternalError(field.NewPath("kind"), err)}
	}
	b, err := json.Marshal(fields)
	if err != nil {
		return nil, field.ErrorList{field.InternalError(nil, err)}
	}
	strict, err := kubejson.UnmarshalStrict(b, obj)
	if err != nil {
		return nil, field.ErrorList{field.Invalid(nil, field.OmitValueType{}, strings.TrimPrefix(err.Error(), "json: "))}
	}
	for _, e := range strict {
		errs = append(errs, strictError(e))
	}
	errs = append(errs, complete(obj)...)
	errs = append(errs, checkMeta(obj, d.namespaced(id))...)
	return obj, errs
}

// strictError makes a field error of the JSON decoder's text for a field that
// is unknown or there twice.
func strictError(err error) *field.Error {
	text := err.Error()
	for _, complaint := range []string{"unknown field", "duplicate field"} {
		if path, ok := strings.CutPrefix(text, complaint+" "); ok {
			return field.Invalid(field.NewPath(strings.Trim(path, `"`)), field.OmitValueType{}, complaint)
		}
	}
	return field.Invalid(nil, field.OmitValueType{}, text)
}

func checkMeta(obj translate.Object, namespaced bool) field.ErrorList {
	nameOK := apivalidation.NameIsDNSSubdomain
	switch obj.(type) {
	case *corev1.Service:
		nameOK = apivalidation.NameIsDNS1035Label
	case *corev1.Namespace:
		nameOK = apivalidation.ValidateNamespaceName
	}
	meta := metav1.ObjectMeta{
		Name: obj.GetName(), Namespace: obj.GetNamespace(), Labels: obj.GetLabels(), Annotations: obj.GetAnnotations(),
	}
	return apivalidation.ValidateObjectMeta(&meta, namespaced, nameOK, field.NewPath("metadata"))
}

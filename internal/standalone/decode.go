package standalone

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
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
	scheme, err := newScheme()
	if err != nil {
		return nil, fmt.Errorf("scheme: %w", err)
	}
	d := &decoder{scheme: scheme, versions: map[gvk.GroupKind]string{}}
	for known := range scheme.AllKnownTypes() {
		d.versions[known.GroupKind()] = known.Version
	}
	d.schemas, err = schema.Load()
	return d, err
}

// newScheme returns the Go types of the kinds that translation reads.
func newScheme() (*runtime.Scheme, error) {
	s := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{corev1.AddToScheme, discoveryv1.AddToScheme, gatewayv1.Install, v1alpha1.AddToScheme} {
		if err := add(s); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// refusal is what is wrong with one document.
type refusal struct {
	key      translate.Key // zero where it is not known
	problems []Problem
}

// refuse returns the problems of a document, of which they need not name file,
// line and object.
func refuse(doc document, object string, problems ...Problem) *refusal {
	for i := range problems {
		problems[i].File, problems[i].Line, problems[i].Object = doc.file, doc.line, object
	}
	return &refusal{problems: problems}
}

// decode makes an object of a document. Exactly one of the two is returned,
// or neither for a document that is nothing to us and worth no word.
func (d *decoder) decode(ctx context.Context, doc document) (translate.Object, *refusal) {
	id, refused := kindOf(doc)
	if refused != nil {
		return nil, refused
	}
	key := d.identity(doc.fields, id)
	if problem := d.reads(id); problem != nil {
		return nil, refuse(doc, key.String(), *problem)
	}
	obj, errs := d.admit(ctx, id, doc.fields)
	if len(errs) > 0 {
		refused = refuse(doc, key.String(), problemsOf(errs)...)
		refused.key = key
		return nil, refused
	}
	return obj, nil
}

// kindOf reads what a document is.
func kindOf(doc document) (gvk.GroupVersionKind, *refusal) {
	apiVersion, _ := doc.fields["apiVersion"].(string)
	kind, _ := doc.fields["kind"].(string)
	var refused *refusal
	switch {
	case kind == "" && kustomization(doc.file):
		refused = refuse(doc, "", Problem{Ignored: true, Message: "ignored: check what kustomize builds of it, citoroute validate - takes it"})
	case kind == "":
		refused = refuse(doc, "", Problem{Field: "kind", Message: "required: this is no Kubernetes object"})
	case apiVersion == "":
		refused = refuse(doc, kind, Problem{Field: "apiVersion", Message: "required"})
	}
	return gvk.FromAPIVersionAndKind(apiVersion, kind), refused
}

// kustomization says whether a file is kustomize's, in which kind may be missing.
func kustomization(file string) bool {
	name := filepath.Base(file)
	return name == "kustomization.yaml" || name == "kustomization.yml"
}

func problemsOf(errs field.ErrorList) []Problem {
	var out []Problem
	for _, e := range errs {
		out = append(out, Problem{Field: strings.TrimPrefix(e.Field, "<nil>"), Message: e.ErrorBody()})
	}
	return out
}

// identity reads the key of a document and puts the default namespace in.
func (d *decoder) identity(fields map[string]any, id gvk.GroupVersionKind) translate.Key {
	meta, _ := fields["metadata"].(map[string]any)
	name, _ := meta["name"].(string)
	namespace, _ := meta["namespace"].(string)
	if meta != nil && namespace == "" && d.namespaced(id) {
		namespace = defaultNamespace
		meta["namespace"] = namespace
	}
	return translate.Key{Kind: translate.Kind(id.Kind), Namespace: namespace, Name: name}
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
	versions := d.versionsOf(id.GroupKind(), ours)
	switch {
	case len(versions) == 0 && ours:
		return &Problem{Field: "kind", Message: fmt.Sprintf("there is no kind %q in %s; there are %s", id.Kind, id.Group, strings.Join(d.schemas.Kinds(id.Group), ", "))}
	case len(versions) == 0:
		return d.foreign(id)
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

// foreign says that a kind is passed over. Where one of ours has that name, the
// group may be misspelled.
func (d *decoder) foreign(id gvk.GroupVersionKind) *Problem {
	p := Problem{Ignored: true, Message: "ignored: not a kind that routing depends on"}
	if groups := d.schemas.GroupsOf(id.Kind); len(groups) > 0 {
		p.Message += fmt.Sprintf("; %s of %s is", id.Kind, strings.Join(groups, " and "))
	}
	return &p
}

// versionsOf returns the versions of a kind, sorted. Kubernetes' own kinds have
// no schema here.
func (d *decoder) versionsOf(kind gvk.GroupKind, ours bool) []string {
	versions := d.schemas.Versions(kind)
	if version, ok := d.versions[kind]; ok && len(versions) == 0 && !ours {
		return []string{version}
	}
	slices.Sort(versions)
	return versions
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
	if errs := d.checkSchema(ctx, id, fields); len(errs) > 0 {
		return nil, errs
	}
	obj, err := d.empty(id.GroupKind())
	if err != nil {
		return nil, field.ErrorList{field.InternalError(field.NewPath("kind"), err)}
	}
	errs, fault := fill(obj, fields)
	if fault != nil {
		return nil, field.ErrorList{fault}
	}
	errs = append(errs, complete(obj)...)
	errs = append(errs, checkMeta(obj, d.namespaced(id))...)
	return obj, errs
}

// checkSchema admits a document of a kind that has a schema.
func (d *decoder) checkSchema(ctx context.Context, id gvk.GroupVersionKind, fields map[string]any) field.ErrorList {
	if _, ok := d.schemas.Has(id); !ok {
		return nil
	}
	errs, err := d.schemas.Admit(ctx, id, fields)
	if err != nil {
		return field.ErrorList{field.InternalError(nil, err)}
	}
	// All versions of these kinds have one form (conversion strategy None).
	fields["apiVersion"] = gvk.GroupVersion{Group: id.Group, Version: d.versions[id.GroupKind()]}.String()
	return errs
}

// fill decodes fields into obj. Unknown and doubled fields are strict's, a
// value of a wrong type is the fault.
func fill(obj translate.Object, fields map[string]any) (strict field.ErrorList, fault *field.Error) {
	b, err := json.Marshal(fields)
	if err != nil {
		return nil, field.InternalError(nil, err)
	}
	errs, err := kubejson.UnmarshalStrict(b, obj)
	if err != nil {
		return nil, field.Invalid(nil, field.OmitValueType{}, strings.TrimPrefix(err.Error(), "json: "))
	}
	for _, e := range errs {
		strict = append(strict, strictError(e))
	}
	return strict, nil
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
	meta := metav1.ObjectMeta{
		Name: obj.GetName(), Namespace: obj.GetNamespace(), Labels: obj.GetLabels(), Annotations: obj.GetAnnotations(),
	}
	return apivalidation.ValidateObjectMeta(&meta, namespaced, nameRule(obj), field.NewPath("metadata"))
}

func nameRule(obj translate.Object) apivalidation.ValidateNameFunc {
	switch obj.(type) {
	case *corev1.Service:
		return apivalidation.NameIsDNS1035Label
	case *corev1.Namespace:
		return apivalidation.ValidateNamespaceName
	}
	return apivalidation.NameIsDNSSubdomain
}

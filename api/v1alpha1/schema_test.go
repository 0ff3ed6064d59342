package v1alpha1_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/citoroute/citoroute/api/v1alpha1"
)

// A file of testdata holds one object. Its leading comments say what must come
// of it: "# want: TEXT" is part of the error, "# default: PATH=VALUE" a field
// that the API server must have filled in.

var _ = Describe("The schema", func() {
	for _, path := range manifests("testdata/invalid") {
		It("refuses "+path, func(ctx SpecContext) {
			object, comments := read(path)
			err := create(ctx, object)
			Expect(apierrors.IsInvalid(err)).To(BeTrue(), "got %v", err)
			Expect(comments["want"]).NotTo(BeEmpty())
			for _, want := range comments["want"] {
				Expect(err).To(MatchError(ContainSubstring(want)))
			}
		})
	}

	for _, path := range manifests("testdata/valid") {
		It("accepts "+path, func(ctx SpecContext) {
			object, comments := read(path)
			Expect(create(ctx, object)).To(Succeed())
			for _, filled := range comments["default"] {
				field, want, _ := strings.Cut(filled, "=")
				Expect(at(object.Object, field)).To(Equal(want), field)
			}
			expectGoType(object)
		})
	}

	for _, path := range manifests("../../config/samples") {
		It("accepts the sample "+filepath.Base(path), func(ctx SpecContext) {
			object, _ := read(path)
			Expect(create(ctx, object)).To(Succeed())
		})
	}
})

// manifests lists the manifests of a folder that hold an object.
func manifests(dir string) []string {
	paths, err := filepath.Glob(filepath.Join(dir, "*.yaml"))
	if err != nil || len(paths) == 0 {
		panic(fmt.Sprintf("no manifests in %s: %v", dir, err))
	}
	objects := paths[:0]
	for _, path := range paths {
		if filepath.Base(path) != "kustomization.yaml" {
			objects = append(objects, path)
		}
	}
	return objects
}

func read(path string) (*unstructured.Unstructured, map[string][]string) {
	GinkgoHelper()
	content, err := os.ReadFile(path)
	Expect(err).NotTo(HaveOccurred())
	object := &unstructured.Unstructured{}
	Expect(yaml.UnmarshalStrict(content, &object.Object)).To(Succeed())
	object.SetNamespace("default")

	comments := map[string][]string{}
	for line := range strings.Lines(string(content)) {
		comment, ok := strings.CutPrefix(line, "# ")
		if !ok {
			break
		}
		key, value, _ := strings.Cut(strings.TrimSpace(comment), ": ")
		comments[key] = append(comments[key], value)
	}
	return object, comments
}

// create sends object to the API server, which keeps nothing but answers with
// the object as it would be stored. Unknown fields are errors.
func create(ctx SpecContext, object *unstructured.Unstructured) error {
	return api.Create(ctx, object, client.DryRunAll, client.FieldValidation("Strict"))
}

// at returns the value at a dotted path, in which numbers are indexes.
func at(value any, path string) string {
	GinkgoHelper()
	for step := range strings.SplitSeq(path, ".") {
		if list, ok := value.([]any); ok {
			index, err := strconv.Atoi(step)
			Expect(err).NotTo(HaveOccurred())
			Expect(len(list)).To(BeNumerically(">", index), path)
			value = list[index]
			continue
		}
		fields, ok := value.(map[string]any)
		Expect(ok).To(BeTrue(), "%s: no object at %s", path, step)
		value = fields[step]
	}
	return fmt.Sprint(value)
}

// expectGoType proves that the Go type of object carries all its fields.
func expectGoType(object *unstructured.Unstructured) {
	GinkgoHelper()
	scheme := runtime.NewScheme()
	Expect(v1alpha1.AddToScheme(scheme)).To(Succeed())
	typed, err := scheme.New(object.GroupVersionKind())
	Expect(err).NotTo(HaveOccurred())
	Expect(runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(object.Object, typed, true)).To(Succeed())
	back, err := runtime.DefaultUnstructuredConverter.ToUnstructured(typed)
	Expect(err).NotTo(HaveOccurred())
	Expect(canonical("spec", back["spec"])).To(Equal(canonical("spec", object.Object["spec"])))
}

// canonical returns value with the one form of the quantities in it.
func canonical(field string, value any) any {
	switch v := value.(type) {
	case map[string]any:
		for name := range v {
			v[name] = canonical(name, v[name])
		}
	case []any:
		for i := range v {
			v[i] = canonical(field, v[i])
		}
	default:
		if field == "amount" {
			q := resource.MustParse(fmt.Sprint(v))
			return q.String()
		}
	}
	return value
}

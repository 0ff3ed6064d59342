// Command bundle writes the OLM bundle from config/: the ClusterServiceVersion
// of config/manifests, completed by the deployment, roles, CRDs and samples
// that the rest of config/ has.
//
//	go run ./hack/generate/bundle -version 0.1.0
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

const base = "config/manifests/bases/citoroute.clusterserviceversion.yaml"

// object is a manifest.
type object = *unstructured.Unstructured

func main() {
	version := flag.String("version", "0.1.0", "semantic version of the bundle")
	registry := flag.String("registry", "citoroute", "registry and folder of the images")
	out := flag.String("out", "bundle", "folder to write")
	flag.Parse()
	if err := write(context.Background(), *out, *version, *registry); err != nil {
		fmt.Fprintln(os.Stderr, "bundle:", err)
		os.Exit(1)
	}
}

// write writes the whole bundle into the folder out, which it empties first.
func write(ctx context.Context, out, version, registry string) error {
	objects, err := installation(ctx)
	if err != nil {
		return err
	}
	for _, o := range objects {
		if o.GetKind() == "Deployment" {
			pin(o, registry+"/", version)
		}
	}
	csv, err := serviceVersion(objects, version)
	if err != nil {
		return err
	}
	if err := os.RemoveAll(out); err != nil {
		return err
	}
	files := map[string]any{"manifests/citoroute.clusterserviceversion.yaml": csv}
	for _, o := range objects {
		switch o.GetKind() {
		case "CustomResourceDefinition":
			unstructured.RemoveNestedField(o.Object, "metadata", "creationTimestamp")
			files["manifests/"+o.GetName()+".crd.yaml"] = o.Object
		case "Service":
			o.SetNamespace("") // that of the operator, which its user chooses
			files["manifests/"+o.GetName()+".service.yaml"] = o.Object
		case "ClusterRole":
			if !bound(objects, o) { // those of the operator are in the ClusterServiceVersion
				files["manifests/"+o.GetName()+".clusterrole.yaml"] = o.Object
			}
		}
	}
	files["metadata/annotations.yaml"] = map[string]any{"annotations": annotations()}
	files["tests/scorecard/config.yaml"] = scorecard()
	for name, content := range files {
		if err := writeYAML(filepath.Join(out, name), content); err != nil {
			return err
		}
	}
	return os.WriteFile(out+".Dockerfile", dockerfile(), 0o644)
}

// installation returns the objects of config/default.
func installation(ctx context.Context) ([]object, error) {
	build := exec.CommandContext(ctx, "go", "tool", "-modfile=tools/go.mod", "kustomize", "build", "config/default")
	build.Stderr = os.Stderr
	output, err := build.Output()
	if err != nil {
		return nil, fmt.Errorf("kustomize build config/default: %w", err)
	}
	var objects []object
	for document := range bytes.SplitSeq(output, []byte("\n---\n")) {
		o, err := decode(document)
		if err != nil {
			return nil, err
		}
		objects = append(objects, o)
	}
	return objects, nil
}

func decode(document []byte) (object, error) {
	o := &unstructured.Unstructured{}
	if err := yaml.Unmarshal(document, &o.Object); err != nil {
		return nil, fmt.Errorf("decode a manifest: %w", err)
	}
	return o, nil
}

// serviceVersion completes the base of the ClusterServiceVersion.
func serviceVersion(objects []object, version string) (map[string]any, error) {
	content, err := os.ReadFile(base)
	if err != nil {
		return nil, err
	}
	csv, err := decode(content)
	if err != nil {
		return nil, err
	}
	samples, err := samples()
	if err != nil {
		return nil, err
	}
	deployments, images := deployments(objects)
	set := func(value any, path ...string) {
		if err == nil {
			err = unstructured.SetNestedField(csv.Object, value, path...)
		}
	}
	set("citoroute.v"+version, "metadata", "name")
	set("placeholder", "metadata", "namespace")
	set(samples, "metadata", "annotations", "alm-examples")
	set(images[0].(map[string]any)["image"], "metadata", "annotations", "containerImage")
	set(version, "spec", "version")
	set(images, "spec", "relatedImages")
	set("deployment", "spec", "install", "strategy")
	set(deployments, "spec", "install", "spec", "deployments")
	set(permissions(objects, "ClusterRole"), "spec", "install", "spec", "clusterPermissions")
	set(permissions(objects, "Role"), "spec", "install", "spec", "permissions")
	return csv.Object, err
}

// samples returns one example of every kind, as JSON.
func samples() (string, error) {
	paths, err := filepath.Glob("config/samples/v*.yaml")
	if err != nil {
		return "", err
	}
	var all []any
	for _, path := range paths {
		content, err := os.ReadFile(path)
		if err != nil {
			return "", err
		}
		o, err := decode(content)
		if err != nil {
			return "", err
		}
		all = append(all, o.Object)
	}
	text, err := json.MarshalIndent(all, "", "  ")
	return string(text), err
}

// deployments returns the deployments in the form of a ClusterServiceVersion,
// and all images, those of environment variables named *_IMAGE included.
func deployments(objects []object) (list, images []any) {
	for _, o := range objects {
		if o.GetKind() != "Deployment" {
			continue
		}
		labels := map[string]any{}
		for key, value := range o.GetLabels() {
			labels[key] = value
		}
		list = append(list, map[string]any{"name": o.GetName(), "label": labels, "spec": o.Object["spec"]})
		for _, c := range containers(o) {
			images = append(images, map[string]any{"name": c["name"], "image": c["image"]})
			for name, variable := range imageVariables(c) {
				images = append(images, map[string]any{"name": name, "image": variable["value"]})
			}
		}
	}
	return list, images
}

// pin gives the images of a deployment a registry and a version.
func pin(deployment object, registry, version string) {
	image := func(old any) string {
		text, _ := old.(string)
		name, _, _ := strings.Cut(text, ":")
		return registry + filepath.Base(name) + ":v" + version
	}
	for _, c := range containers(deployment) {
		c["image"] = image(c["image"])
		for _, variable := range imageVariables(c) {
			variable["value"] = image(variable["value"])
		}
	}
}

// containers returns the containers of a deployment, to be changed in place.
func containers(deployment object) []map[string]any {
	list, _, _ := unstructured.NestedFieldNoCopy(deployment.Object, "spec", "template", "spec", "containers")
	return members(list)
}

// imageVariables returns the environment variables that name an image, by the
// image's role: "proxy" for PROXY_IMAGE.
func imageVariables(container map[string]any) map[string]map[string]any {
	found := map[string]map[string]any{}
	for _, variable := range members(container["env"]) {
		name, _ := variable["name"].(string)
		if role, ok := strings.CutSuffix(name, "_IMAGE"); ok {
			found[strings.ToLower(role)] = variable
		}
	}
	return found
}

// members returns the objects of a list.
func members(list any) []map[string]any {
	var all []map[string]any
	items, _ := list.([]any)
	for _, item := range items {
		if m, ok := item.(map[string]any); ok {
			all = append(all, m)
		}
	}
	return all
}

// permissions gathers the rules of all roles of a kind under the service
// account that they are bound to.
func permissions(objects []object, kind string) []any {
	rules := map[string][]any{}
	for _, o := range objects {
		if o.GetKind() == kind {
			list, _ := o.Object["rules"].([]any)
			rules[o.GetName()] = list
		}
	}
	accounts := map[string][]any{}
	for _, binding := range objects {
		if binding.GetKind() != kind+"Binding" {
			continue
		}
		role, _, _ := unstructured.NestedString(binding.Object, "roleRef", "name")
		for _, subject := range members(binding.Object["subjects"]) {
			account, _ := subject["name"].(string)
			accounts[account] = append(accounts[account], rules[role]...)
		}
	}
	var all []any
	for account, rules := range accounts {
		all = append(all, map[string]any{"serviceAccountName": account, "rules": rules})
	}
	slices.SortFunc(all, func(a, b any) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
	return all
}

// bound reports whether a binding gives role to somebody.
func bound(objects []object, role object) bool {
	return slices.ContainsFunc(objects, func(o object) bool {
		name, _, _ := unstructured.NestedString(o.Object, "roleRef", "name")
		return o.GetKind() == role.GetKind()+"Binding" && name == role.GetName()
	})
}

func writeYAML(path string, content any) error {
	text, err := yaml.Marshal(content)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, text, 0o644)
}

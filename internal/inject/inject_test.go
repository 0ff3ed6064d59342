package inject

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	"github.com/citoroute/citoroute/internal/infra"
)

var update = flag.Bool("update", false, "write the outcomes into the golden files")

func options() infra.Options {
	return infra.Options{Image: "citoroute/proxy:test", ImagePullPolicy: corev1.PullIfNotPresent}
}

// TestFor_Golden runs every case of testdata: a pod in; the pod with its
// sidecar out, and what is said about it.
func TestFor_Golden(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no golden files: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			b, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			archive := txtar.Parse(b)
			pod := decode(t, archive.Files[0].Data)
			before := pod.DeepCopy()
			archive.Files = append(archive.Files[:1:1], outcome(t, pod)...)
			if diff := cmp.Diff(before, pod); diff != "" {
				t.Errorf("the pod that was given changes:\n%s", diff)
			}
			got := txtar.Format(archive)
			if *update {
				if err := os.WriteFile(file, got, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if b, err = os.ReadFile(file); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(b), string(got)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func decode(t testing.TB, b []byte) *corev1.Pod {
	t.Helper()
	pod := &corev1.Pod{}
	if err := yaml.UnmarshalStrict(b, pod); err != nil {
		t.Fatal(err)
	}
	return pod
}

// outcome returns the files out.yaml, where the pod changes, and said.txt.
func outcome(t *testing.T, pod *corev1.Pod) []txtar.File {
	t.Helper()
	sidecar, errs := For(pod, options())
	var said bytes.Buffer
	for _, err := range errs {
		fmt.Fprintf(&said, "refused: %v\n", err)
	}
	if sidecar.Skipped != "" {
		fmt.Fprintf(&said, "skipped: %s\n", sidecar.Skipped)
	}
	for _, w := range sidecar.Warnings {
		fmt.Fprintf(&said, "warning: %s\n", w)
	}
	var out []txtar.File
	if after := sidecar.AddTo(pod); !cmp.Equal(pod, after) {
		b, err := yaml.Marshal(after)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, txtar.File{Name: "out.yaml", Data: b})
	}
	if said.Len() > 0 {
		out = append(out, txtar.File{Name: "said.txt", Data: said.Bytes()})
	}
	return out
}

func TestAnnotations_AreDocumented(t *testing.T) {
	b, err := os.ReadFile("../../docs/mesh.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{
		annotationPorts, annotationCIDRs, annotationCPU, annotationMemory, annotationCPULimit, annotationMemoryLimit,
	} {
		if !bytes.Contains(b, []byte("`"+name+"`")) {
			t.Errorf("docs/mesh.md says nothing of %s", name)
		}
	}
}

// FuzzFor holds, of any pod, what the API server relies on: a pod that has a
// sidecar gets no second one, and what its author wrote stays, in its order.
func FuzzFor(f *testing.F) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		if b, err = yaml.YAMLToJSON(txtar.Parse(b).Files[0].Data); err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		pod := &corev1.Pod{}
		if json.Unmarshal(b, pod) != nil {
			return
		}
		sidecar, errs := For(pod, options())
		once := sidecar.AddTo(pod)
		if len(errs) > 0 || sidecar.Skipped != "" {
			if !cmp.Equal(pod, once) {
				t.Errorf("refused (%v) or skipped (%s), and changed", errs, sidecar.Skipped)
			}
			return
		}
		again, errs := For(once, options())
		if twice := again.AddTo(once); len(errs) > 0 || !cmp.Equal(once, twice) {
			t.Errorf("injected twice: %v\n%s", errs, cmp.Diff(once, twice))
		}
		rest := once.DeepCopy()
		rest.Spec.InitContainers = rest.Spec.InitContainers[len(sidecar.InitContainers):]
		rest.Spec.Volumes = rest.Spec.Volumes[:len(rest.Spec.Volumes)-len(sidecar.Volumes)]
		if len(rest.Spec.InitContainers) == 0 {
			rest.Spec.InitContainers = pod.Spec.InitContainers // nil, or empty
		}
		if len(rest.Spec.Volumes) == 0 {
			rest.Spec.Volumes = pod.Spec.Volumes
		}
		if diff := cmp.Diff(pod, rest); diff != "" {
			t.Errorf("what the author wrote changes:\n%s", diff)
		}
	})
}

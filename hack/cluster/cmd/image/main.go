// Command image writes a container image of static files as a docker-archive,
// without a container engine:
//
//	image -name NAME:TAG -out FILE.tar [-entrypoint PATH] DESTINATION=SOURCE...
package main

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"strings"
)

const passwd = "root:x:0:0:root:/:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/:/sbin/nologin\n"

func main() {
	log.SetFlags(0)
	name := flag.String("name", "", "the image's `name:tag`")
	out := flag.String("out", "", "the archive's `file`")
	entrypoint := flag.String("entrypoint", "", "the program's `path` in the image; the first destination without it")
	flag.Parse()
	if err := build(*name, *out, *entrypoint, flag.Args()); err != nil {
		log.Fatalf("image %s: %v", *name, err)
	}
}

func build(name, out, entrypoint string, files []string) error {
	if name == "" || out == "" || len(files) == 0 {
		return errors.New("-name, -out and at least one DESTINATION=SOURCE are required")
	}
	if entrypoint == "" {
		entrypoint, _, _ = strings.Cut(files[0], "=")
	}
	layer, err := os.CreateTemp("", "layer-*.tar")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(layer.Name()) }()
	defer layer.Close()
	sum := sha256.New()
	if err := writeLayer(io.MultiWriter(layer, sum), files); err != nil {
		return err
	}
	return writeArchive(out, name, entrypoint, layer, hex.EncodeToString(sum.Sum(nil)))
}

func writeLayer(w io.Writer, files []string) error {
	t := tar.NewWriter(w)
	dirs := []struct {
		name string
		mode int64
	}{{"tmp/", 0o1777}, {"etc/", 0o755}}
	for _, d := range dirs {
		if err := t.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: d.name, Mode: d.mode}); err != nil {
			return err
		}
	}
	if err := add(t, "etc/passwd", 0o644, int64(len(passwd)), strings.NewReader(passwd)); err != nil {
		return err
	}
	for _, f := range files {
		to, from, ok := strings.Cut(f, "=")
		if !ok {
			return fmt.Errorf("%q is not DESTINATION=SOURCE", f)
		}
		if err := addFile(t, strings.TrimPrefix(to, "/"), from); err != nil {
			return err
		}
	}
	return t.Close()
}

func addFile(t *tar.Writer, to, from string) error {
	f, err := os.Open(from)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	mode := int64(0o644)
	if info.Mode()&0o111 != 0 {
		mode = 0o755
	}
	return add(t, to, mode, info.Size(), f)
}

func add(t *tar.Writer, name string, mode, size int64, r io.Reader) error {
	if err := t.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: mode, Size: size}); err != nil {
		return err
	}
	_, err := io.Copy(t, r)
	return err
}

// writeArchive writes the layer with the image's configuration and manifest
// around it.
func writeArchive(out, name, entrypoint string, layer *os.File, layerSum string) error {
	config, err := json.Marshal(map[string]any{
		"architecture": "amd64",
		"os":           "linux",
		"config": map[string]any{
			"Entrypoint": []string{entrypoint},
			"Env":        []string{"PATH=/usr/local/bin:/usr/bin:/bin"},
		},
		"rootfs":  map[string]any{"type": "layers", "diff_ids": []string{"sha256:" + layerSum}},
		"history": []any{map[string]string{"created_by": "hack/cluster/cmd/image"}},
	})
	if err != nil {
		return err
	}
	configSum := sha256.Sum256(config)
	configName := hex.EncodeToString(configSum[:]) + ".json"
	manifest, err := json.Marshal([]any{map[string]any{
		"Config": configName, "RepoTags": []string{name}, "Layers": []string{layerSum + "/layer.tar"},
	}})
	if err != nil {
		return err
	}
	size, err := layer.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	if _, err := layer.Seek(0, io.SeekStart); err != nil {
		return err
	}

	f, err := os.Create(out)
	if err != nil {
		return err
	}
	t := tar.NewWriter(f)
	return errors.Join(
		add(t, configName, 0o644, int64(len(config)), bytes.NewReader(config)),
		add(t, layerSum+"/layer.tar", 0o644, size, layer),
		add(t, "manifest.json", 0o644, int64(len(manifest)), bytes.NewReader(manifest)),
		t.Close(), f.Close())
}

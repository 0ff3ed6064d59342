package standalone

import (
	"context"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// lookInterval is how often files are looked at. A change is taken when two
// looks in a row have seen the same, so that a file is not read while it is
// being written: 200 ms at most. Looking works on every file system, over
// every mount and through every editor's way of saving, which notifications do
// not; a folder of manifests costs microseconds.
const lookInterval = 100 * time.Millisecond

// maxFile is the longest manifest that is read, in bytes.
const maxFile = 16 << 20

// look is what a file looks like from outside.
type look struct {
	size     int64
	modified time.Time
}

// source is a set of files and folders, and of manifests that are in no file.
type source struct {
	paths []string
	given map[string][]byte
}

// looks returns the manifests that are there. Hidden files and folders are
// passed over, unless they are named.
func (s source) looks() (map[string]look, error) {
	out := map[string]look{}
	for _, root := range s.paths {
		if err := filepath.WalkDir(root, lookAt(root, out)); err != nil {
			return nil, fmt.Errorf("read manifests: %w", err)
		}
	}
	return out, nil
}

// lookAt notes in out what is there below root.
func lookAt(root string, out map[string]look) fs.WalkDirFunc {
	return func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return goneUnless(path == root, err)
		}
		switch {
		case entry.IsDir() && hidden(entry) && path != root:
			return fs.SkipDir
		case entry.IsDir(), hidden(entry), !manifest(path) && path != root:
			return nil
		}
		info, err := os.Stat(path) // through links, as mounted ConfigMaps have them
		if err == nil && info.Mode().IsRegular() {
			out[path] = look{info.Size(), info.ModTime()}
		}
		return nil // what is not there is gone since the folder was listed
	}
}

// goneUnless takes what is missing below a root for gone since the folder was
// listed; the root itself must be there.
func goneUnless(isRoot bool, err error) error {
	if isRoot {
		return err
	}
	return nil
}

func hidden(entry fs.DirEntry) bool {
	return strings.HasPrefix(entry.Name(), ".") && len(entry.Name()) > 1 && entry.Name() != ".."
}

// manifest says whether a file name is one of a manifest.
func manifest(name string) bool {
	for _, suffix := range []string{".yaml", ".yml", ".json"} {
		if strings.HasSuffix(name, suffix) {
			return true
		}
	}
	return false
}

// read returns the contents of the manifests. A file that cannot be read is a
// problem of its own.
func (s source) read(looks map[string]look) (map[string][]byte, []Problem) {
	files := make(map[string][]byte, len(looks)+len(s.given))
	maps.Copy(files, s.given)
	var problems []Problem
	for path, l := range looks {
		b, err := readManifest(path, l.size)
		if err != nil {
			problems = append(problems, Problem{File: path, Message: err.Error()})
			continue
		}
		files[path] = b
	}
	return files, problems
}

func readManifest(path string, size int64) ([]byte, error) {
	if size > maxFile {
		return nil, fmt.Errorf("not read: longer than %d MiB", maxFile>>20)
	}
	return os.ReadFile(path)
}

// watch calls changed whenever the files have changed since they looked like
// seen, until ctx is done.
func (s source) watch(ctx context.Context, seen map[string]look, changed func(map[string]look)) {
	ticker := time.NewTicker(lookInterval)
	defer ticker.Stop()
	last := seen
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		now, err := s.looks()
		if err != nil {
			continue // the folder is gone: it may be on its way back
		}
		settled := maps.Equal(now, last)
		last = now
		if settled && !maps.Equal(now, seen) {
			seen = now
			changed(now)
		}
	}
}

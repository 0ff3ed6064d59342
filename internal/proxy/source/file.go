package source

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/fsnotify/fsnotify"

	"github.com/citoroute/citoroute/internal/ir"
	"github.com/citoroute/citoroute/internal/push"
)

// pollInterval is how often a file is looked at where the kernel reports no
// change of it (network file systems).
const pollInterval = 300 * time.Millisecond

// File follows a mounted configuration file.
type File struct {
	// Path is the file. It may be a symbolic link, as in a mounted ConfigMap,
	// and need not exist yet.
	Path string
	// Sink gets the whole file each time that its contents have changed.
	Sink push.Sink
	// Log receives what is wrong with the file; required.
	Log *slog.Logger

	stat    fs.FileInfo // when the file was last read
	applied []byte
	refused []byte
	problem string // last logged
}

// Run applies the file, and again whenever it changes, until ctx is done. A
// file that cannot be read or is refused is logged once; what was applied
// before goes on.
func (f *File) Run(ctx context.Context) error {
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		return fmt.Errorf("watch %s: %w", f.Path, err)
	}
	defer func() { _ = watcher.Close() }()
	// The directory: a file that is replaced, or a link that is turned (the
	// kubelet turns ..data), is not the file that would have been watched.
	if err := watcher.Add(filepath.Dir(f.Path)); err != nil {
		f.Log.Warn("Cannot watch the configuration's directory, looking at it now and then", "path", f.Path, "error", err)
	}
	poll := time.NewTicker(pollInterval)
	defer poll.Stop()
	for {
		f.load(ctx)
		if err := f.wait(ctx, watcher, poll.C); err != nil {
			return err
		}
	}
}

// wait returns when the file may have changed, or the context's error.
func (f *File) wait(ctx context.Context, watcher *fsnotify.Watcher, poll <-chan time.Time) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-watcher.Events:
			return nil
		case err := <-watcher.Errors: // events were lost
			f.Log.Debug("Watching the configuration", "path", f.Path, "error", err)
			return nil
		case <-poll:
			if f.moved() {
				return nil
			}
		}
	}
}

// moved says whether the file is another one, or newer, than when it was read.
func (f *File) moved() bool {
	stat, err := os.Stat(f.Path)
	if err != nil || f.stat == nil {
		return (err == nil) != (f.stat != nil)
	}
	return !os.SameFile(stat, f.stat) || !stat.ModTime().Equal(f.stat.ModTime()) || stat.Size() != f.stat.Size()
}

// load applies the file if its contents are new.
func (f *File) load(ctx context.Context) {
	f.stat, _ = os.Stat(f.Path) // nil where there is none
	content, err := os.ReadFile(f.Path)
	switch {
	case err != nil:
		f.complain(ctx, err)
	case bytes.Equal(content, f.applied):
		f.refused, f.problem = nil, ""
	case f.refused == nil || !bytes.Equal(content, f.refused):
		f.apply(ctx, content)
	}
}

func (f *File) apply(ctx context.Context, content []byte) {
	resources, err := Unmarshal(content)
	if err == nil {
		err = f.Sink.Apply(ir.Update{Upserts: resources, Complete: true})
	}
	if err != nil {
		f.refused = content
		f.complain(ctx, err)
		return
	}
	f.applied, f.refused, f.problem = content, nil, ""
	f.Log.Info("Applied the configuration file", "path", f.Path, "resources", len(resources))
}

// complain logs err unless it was the last one logged.
func (f *File) complain(ctx context.Context, err error) {
	if err.Error() == f.problem {
		return
	}
	f.problem = err.Error()
	level := slog.LevelError
	if errors.Is(err, fs.ErrNotExist) {
		level = slog.LevelWarn
	}
	f.Log.Log(ctx, level, "The configuration file is not served, keeping what was", "path", f.Path, "error", err)
}

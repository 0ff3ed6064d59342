package source

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/citoroute/citoroute/internal/ir"
)

// within bounds the wait for a changed file to be live, which takes milliseconds
// on a machine that is not busy.
const within = 10 * time.Second

// recorder is a Sink.
type recorder struct {
	applied chan ir.Update
	refuse  error
}

func newRecorder() *recorder { return &recorder{applied: make(chan ir.Update, 10)} }

func (r *recorder) Apply(u ir.Update) error {
	r.applied <- u
	return r.refuse
}

// next returns the names that were applied next.
func (r *recorder) next(t *testing.T, limit time.Duration) []string {
	t.Helper()
	select {
	case u := <-r.applied:
		if !u.Complete {
			t.Error("a file is the whole configuration, but the update is not")
		}
		var names []string
		for _, res := range u.Upserts {
			names = append(names, res.ResourceName())
		}
		return names
	case <-time.After(limit):
		t.Fatalf("nothing was applied within %s", limit)
		return nil
	}
}

func (r *recorder) quiet(t *testing.T) {
	t.Helper()
	select {
	case u := <-r.applied:
		t.Errorf("applied %v", u)
	case <-time.After(2 * pollInterval):
	}
}

func write(t *testing.T, path string, names ...string) {
	t.Helper()
	var resources []ir.Resource
	for _, n := range names {
		resources = append(resources, &ir.Listener{Name: n, Port: 80, Protocol: ir.ProtocolHTTP})
	}
	b, err := Marshal(resources)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

func follow(t *testing.T, path string) *recorder {
	t.Helper()
	r := newRecorder()
	f := &File{Path: path, Sink: r, Log: slog.New(slog.DiscardHandler)}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- f.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("Run returned %v", err)
		}
	})
	return r
}

func TestFile_FollowsChanges(t *testing.T) {
	path := filepath.Join(t.TempDir(), "config.json")
	write(t, path, "a")
	r := follow(t, path)
	if diff := cmp.Diff([]string{"a"}, r.next(t, within)); diff != "" {
		t.Fatalf("-want +got:\n%s", diff)
	}
	write(t, path, "a", "b")
	if diff := cmp.Diff([]string{"a", "b"}, r.next(t, within)); diff != "" {
		t.Errorf("written anew: -want +got:\n%s", diff)
	}
	other := filepath.Join(t.TempDir(), "next.json")
	write(t, other, "c")
	if err := os.Rename(other, path); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"c"}, r.next(t, within)); diff != "" {
		t.Errorf("replaced: -want +got:\n%s", diff)
	}
	write(t, path, "c")
	r.quiet(t) // the same contents
}

// TestFile_FollowsMountedConfigMap changes the file as the kubelet does: the
// file is a link through ..data, a link that is turned by a rename.
func TestFile_FollowsMountedConfigMap(t *testing.T) {
	dir := t.TempDir()
	turn := func(version string, names ...string) {
		if err := os.Mkdir(filepath.Join(dir, version), 0o700); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, version, "config.json"), names...)
		if err := os.Symlink(version, filepath.Join(dir, "..data_tmp")); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(filepath.Join(dir, "..data_tmp"), filepath.Join(dir, "..data")); err != nil {
			t.Fatal(err)
		}
	}
	turn("..1", "a")
	path := filepath.Join(dir, "config.json")
	if err := os.Symlink(filepath.Join("..data", "config.json"), path); err != nil {
		t.Fatal(err)
	}
	r := follow(t, path)
	if diff := cmp.Diff([]string{"a"}, r.next(t, within)); diff != "" {
		t.Fatalf("-want +got:\n%s", diff)
	}
	turn("..2", "b")
	if diff := cmp.Diff([]string{"b"}, r.next(t, within)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestFile_BadContentsChangeNothing(t *testing.T) {
	for name, content := range map[string]string{
		"NoJSON":      "{",
		"UnknownType": `[{"type":"teapot","resource":{}}]`,
		"NoName":      `[{"type":"listener","resource":{}}]`,
		"Twice":       `[{"type":"listener","resource":{"name":"a"}},{"type":"listener","resource":{"name":"a"}}]`,
		"WrongField":  `[{"type":"listener","resource":{"name":"a","port":"eighty"}}]`,
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "config.json")
			write(t, path, "a")
			r := follow(t, path)
			r.next(t, within)
			if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
			r.quiet(t)
			write(t, path, "b")
			if diff := cmp.Diff([]string{"b"}, r.next(t, within)); diff != "" {
				t.Errorf("mended: -want +got:\n%s", diff)
			}
		})
	}
}

// TestFile_WhatWasRefusedIsTriedAgain when it comes back.
func TestFile_WhatWasRefusedIsTriedAgain(t *testing.T) {
	r := newRecorder()
	f := &File{Path: filepath.Join(t.TempDir(), "config.json"), Sink: r, Log: slog.New(slog.DiscardHandler)}
	for _, step := range []struct {
		name   string
		refuse error
	}{{"a", nil}, {"b", errors.New("no")}, {"a", nil}, {"b", nil}} {
		write(t, f.Path, step.name)
		r.refuse = step.refuse
		f.load(t.Context())
	}
	close(r.applied)
	var got []string
	for u := range r.applied {
		got = append(got, u.Upserts[0].ResourceName())
	}
	if diff := cmp.Diff([]string{"a", "b", "b"}, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestFile_MayComeLater(t *testing.T) {
	path := filepath.Join(t.TempDir(), "config.json")
	r := follow(t, path)
	r.quiet(t)
	write(t, path, "a")
	if diff := cmp.Diff([]string{"a"}, r.next(t, within)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestMarshal_UnmarshalGivesBackEveryType(t *testing.T) {
	want := []ir.Resource{
		&ir.Secret{Name: "s", Certificate: []byte("c"), Key: ir.Bytes("k"), Values: map[string]ir.Bytes{"token": ir.Bytes("v")}},
		&ir.Policy{Name: "p"},
		&ir.Endpoints{Name: "e", Addresses: []ir.Endpoint{{Host: "10.0.0.1", Port: 80}}},
		&ir.Backend{Name: "b", Protocol: ir.ProtocolHTTP, Endpoints: "e"},
		&ir.Listener{Name: "l", Port: 80, Protocol: ir.ProtocolHTTP},
		&ir.Route{Name: "r", Listener: "l"},
	}
	b, err := Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	got, err := Unmarshal(b)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func FuzzUnmarshal(f *testing.F) {
	f.Add([]byte(`[{"type":"listener","resource":{"name":"a","port":80}}]`))
	f.Add([]byte(`[{"type":"secret","resource":{"name":"s","values":{"k":"!"}}}]`))
	f.Fuzz(func(t *testing.T, b []byte) {
		resources, err := Unmarshal(b)
		if err != nil {
			return
		}
		again, err := Marshal(resources)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Unmarshal(again); err != nil {
			t.Errorf("what was written cannot be read: %v\n%s", err, again)
		}
	})
}

func TestSnapshot_IsRestored(t *testing.T) {
	dir := t.TempDir()
	live := []ir.Resource{&ir.Secret{Name: "s", Key: ir.Bytes("k")}, &ir.Listener{Name: "l", Port: 80, Protocol: ir.ProtocolHTTP}}
	sink := newRecorder()
	s := NewSnapshot(dir, sink, func() []ir.Resource { return live }, slog.New(slog.DiscardHandler))
	if have, err := s.Restore(); have != nil || err != nil {
		t.Fatalf("from nothing: %v, %v", have, err)
	}
	ended := errors.New("ended")
	err := s.Keep(func() error { // what is due is written before Keep returns
		if err := s.Apply(ir.Update{Upserts: live, Complete: true}); err != nil {
			t.Error(err)
		}
		return ended
	})
	if !errors.Is(err, ended) {
		t.Errorf("got %v, want what the followed source ended with", err)
	}
	stat, err := os.Stat(filepath.Join(dir, snapshotName))
	if err != nil {
		t.Fatal(err)
	}
	if stat.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, want 0600: keys are in it", stat.Mode())
	}
	if left, _ := os.ReadDir(dir); len(left) != 1 {
		t.Errorf("left behind: %v", left)
	}
	next := newRecorder()
	have, err := NewSnapshot(dir, next, nil, slog.New(slog.DiscardHandler)).Restore()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(live, have); diff != "" {
		t.Errorf("restored: -want +got:\n%s", diff)
	}
	if diff := cmp.Diff([]string{"s", "l"}, next.next(t, within)); diff != "" {
		t.Errorf("applied: -want +got:\n%s", diff)
	}
}

func TestSnapshot_KeepsNothingThatWasRefused(t *testing.T) {
	sink := newRecorder()
	sink.refuse = errors.New("no")
	s := NewSnapshot(t.TempDir(), sink, nil, slog.New(slog.DiscardHandler))
	if err := s.Apply(ir.Update{Complete: true}); !errors.Is(err, sink.refuse) {
		t.Errorf("got %v", err)
	}
	select {
	case <-s.changed:
		t.Error("a refused configuration is due to be written")
	default:
	}
}

func TestSnapshot_DamageIsAnError(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, snapshotName), []byte("[{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := NewSnapshot(dir, newRecorder(), nil, slog.New(slog.DiscardHandler)).Restore(); err == nil {
		t.Error("a damaged snapshot was restored")
	}
}

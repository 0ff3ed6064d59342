package source

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/citoroute/citoroute/internal/ir"
	"github.com/citoroute/citoroute/internal/push"
)

const (
	snapshotName = "last-good.json"
	// snapshotInterval is the least time between two writes.
	snapshotInterval = time.Second
)

// Snapshot keeps the last good configuration on disk, so that a proxy serves
// from its start while no controller answers. It is a [push.Sink] in front of
// another.
type Snapshot struct {
	dir       string
	sink      push.Sink
	resources func() []ir.Resource
	log       *slog.Logger
	changed   chan struct{}
}

// NewSnapshot returns a Snapshot in dir of what sink has applied, which
// resources returns.
func NewSnapshot(dir string, sink push.Sink, resources func() []ir.Resource, log *slog.Logger) *Snapshot {
	return &Snapshot{dir: dir, sink: sink, resources: resources, log: log, changed: make(chan struct{}, 1)}
}

// Apply implements [push.Sink].
func (s *Snapshot) Apply(u ir.Update) error {
	if err := s.sink.Apply(u); err != nil {
		return err
	}
	if !u.Empty() {
		select {
		case s.changed <- struct{}{}:
		default: // a write is already due
		}
	}
	return nil
}

// Restore applies the snapshot that an earlier process left and returns its
// resources. No snapshot is no error.
func (s *Snapshot) Restore() ([]ir.Resource, error) {
	b, err := os.ReadFile(filepath.Join(s.dir, snapshotName))
	if os.IsNotExist(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read last good configuration: %w", err)
	}
	resources, err := Unmarshal(b)
	if err != nil {
		return nil, fmt.Errorf("last good configuration: %w", err)
	}
	if err := s.sink.Apply(ir.Update{Upserts: resources, Complete: true}); err != nil {
		return nil, fmt.Errorf("apply last good configuration: %w", err)
	}
	return resources, nil
}

// Keep runs follow, which feeds s, and writes the snapshot after changes until
// follow has returned, and once more then if it is due. It returns follow's
// error.
func (s *Snapshot) Keep(follow func() error) error {
	over, written := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(written)
		s.run(over)
	}()
	// Not sooner: an update can still be on its way in when a proxy is told to
	// stop, and what was served must be what the next one begins with.
	defer func() {
		close(over)
		<-written
	}()
	return follow()
}

// run writes the snapshot after changes until over is closed, and once more then
// if it is due.
func (s *Snapshot) run(over <-chan struct{}) {
	for {
		select {
		case <-s.changed:
			s.save()
		case <-over:
			s.saveIfDue()
			return
		}
		select {
		case <-time.After(snapshotInterval):
		case <-over:
		}
	}
}

func (s *Snapshot) saveIfDue() {
	select {
	case <-s.changed:
		s.save()
	default:
	}
}

func (s *Snapshot) save() {
	if err := s.write(); err != nil {
		s.log.Error("Cannot keep the configuration", "error", err)
	}
}

// write replaces the snapshot at once: a reader sees the old one or the new.
func (s *Snapshot) write() error {
	b, err := Marshal(s.resources())
	if err != nil {
		return err
	}
	if err := replaceFile(filepath.Join(s.dir, snapshotName), b); err != nil {
		return fmt.Errorf("write last good configuration: %w", err)
	}
	return nil
}

func replaceFile(path string, content []byte) error {
	// CreateTemp's files are for their owner only: keys are in it.
	tmp, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(tmp.Name()) }()
	_, err = tmp.Write(content)
	if err := errors.Join(err, tmp.Close()); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), path)
}

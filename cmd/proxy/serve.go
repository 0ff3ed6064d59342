package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/citoroute/citoroute/internal/bootstrap"
	"github.com/citoroute/citoroute/internal/ir"
	"github.com/citoroute/citoroute/internal/proxy/admin"
	"github.com/citoroute/citoroute/internal/proxy/capture"
	"github.com/citoroute/citoroute/internal/proxy/names"
	"github.com/citoroute/citoroute/internal/proxy/observe"
	"github.com/citoroute/citoroute/internal/proxy/runtime"
	"github.com/citoroute/citoroute/internal/proxy/server"
	"github.com/citoroute/citoroute/internal/proxy/source"
	"github.com/citoroute/citoroute/internal/proxy/upstream"
	"github.com/citoroute/citoroute/internal/push"
	"github.com/citoroute/citoroute/internal/version"
)

// grace is how long a proxy that was told to stop goes on accepting, at most:
// until then load balancers have seen that it is not ready.
const grace = 5 * time.Second

// serve runs a proxy until ctx is done, and then drains it.
func serve(ctx context.Context, config *bootstrap.Config, level *slog.LevelVar, stdout io.Writer, log *slog.Logger) error {
	observer, err := newObserver(ctx, config, stdout)
	if err != nil {
		return err
	}
	defer observer.Close()
	dial := upstream.Dialer{
		Room:  server.RoomForBackends(config.Capture.Port != 0, log),
		Names: names.New(names.Options{Log: log}),
	}
	live := server.NewRuntime(observer, config.Issuers.Networks, dial)
	observer.Watch(observe.Live{Resources: live.Resources, Paused: live.Paused, Backends: dial.Room.Taken})
	options := serverOptions(config, observer, log)
	options.Runtime, options.Dial = live, dial
	srv := server.New(options)
	questions := admin.New(admin.Options{
		Ready: srv.Ready, Resources: live.Resources, Metrics: observer.Registry(), Level: level,
	})
	log.Info("Starting", "version", version.String(), "node", config.Node, "source", config.Source)

	// Everything but the server ends only when it has drained: its metrics and
	// its readiness are wanted until then.
	after, finish := context.WithCancel(context.WithoutCancel(ctx))
	defer finish()
	group, after := errgroup.WithContext(after)
	group.Go(func() error { return admin.Serve(after, config.Admin, questions.Handler()) })
	if config.Metrics != "" {
		group.Go(func() error { return admin.Serve(after, config.Metrics, questions.PublicHandler()) })
	}
	stopServing, stop := context.WithCancel(ctx)
	defer stop()
	context.AfterFunc(after, stop) // a part has failed
	group.Go(func() error { return follow(stopServing, config, srv, served{live, observer}, log) })
	srv.Run(stopServing)
	finish()
	log.Info("Drained")
	return group.Wait()
}

func serverOptions(config *bootstrap.Config, observer *observe.Observer, log *slog.Logger) server.Options {
	o := server.Options{
		Observe: observer, Log: log,
		HeaderTimeout: time.Duration(config.Timeouts.Header),
		IdleTimeout:   time.Duration(config.Timeouts.Idle),
		DrainTimeout:  time.Duration(config.Timeouts.Drain),
		Grace:         min(grace, time.Duration(config.Timeouts.Drain)),
	}
	if port := config.Capture.Port; port != 0 {
		o.Capture = &server.Capture{Port: port, Destination: capture.Destination}
		o.Grace = 0 // nobody balances load among sidecars, and the pod's programs have ended
	}
	return o
}

func newObserver(ctx context.Context, config *bootstrap.Config, stdout io.Writer) (*observe.Observer, error) {
	options := observe.Options{Version: version.String()}
	if config.Log.Access {
		options.AccessLog = stdout
	}
	if t := config.Tracing; t.Endpoint != "" {
		var err error
		if options.Tracing, err = observe.NewTracing(ctx, t.Endpoint, t.Protocol, t.Ratio); err != nil {
			return nil, fmt.Errorf("tracing: %w", err)
		}
	}
	if p := config.Push; p.Endpoint != "" {
		var err error
		if options.Push, err = observe.NewPush(ctx, p.Endpoint, p.Protocol, time.Duration(p.Interval)); err != nil {
			return nil, fmt.Errorf("push: %w", err)
		}
	}
	return observe.New(options), nil
}

// served is what is known of the configuration that a proxy serves.
type served struct {
	*runtime.Runtime
	*observe.Observer
}

// follow keeps sink up to date until ctx is done.
func follow(ctx context.Context, config *bootstrap.Config, sink push.Sink, live served, log *slog.Logger) error {
	var err error
	if config.Source == bootstrap.SourceFile {
		err = (&source.File{Path: config.File.Path, Sink: sink, Log: log}).Run(ctx)
	} else {
		err = followStream(ctx, config, sink, live, log)
	}
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return fmt.Errorf("follow the configuration: %w", err)
}

// followStream follows a controller, from what the last process kept if there
// is a directory for it.
func followStream(ctx context.Context, config *bootstrap.Config, sink push.Sink, live served, log *slog.Logger) error {
	live.Following(false)
	run := func(sink push.Sink, have []ir.Resource) error {
		stream := source.Stream(config, sink, have, version.String(), log)
		stream.Connected = live.Following
		return stream.Run(ctx)
	}
	if config.StateDir == "" {
		return run(sink, nil)
	}
	snapshot := source.NewSnapshot(config.StateDir, sink, live.Resources, log)
	have, err := snapshot.Restore()
	if err != nil {
		log.Warn("Starting without the last good configuration", "error", err)
	} else if have != nil {
		log.Info("Serving the last good configuration until a controller answers", "resources", len(have))
	}
	return snapshot.Keep(func() error { return run(snapshot, have) })
}

// Memory settings for a process whose live heap is small and whose garbage is
// not: fewer collections, and a limit below that of the container. A sidecar,
// of which there are as many as pods, keeps to the usual number of collections.
const (
	gcPercent   = 400
	memoryShare = 0.9
	memoryMax   = "/sys/fs/cgroup/memory.max"
)

// tuneMemory sets the garbage collector, unless GOGC or GOMEMLIMIT do.
func tuneMemory(log *slog.Logger, mode string) {
	if os.Getenv("GOGC") == "" && mode != modeSidecar {
		debug.SetGCPercent(gcPercent)
	}
	if os.Getenv("GOMEMLIMIT") != "" {
		return
	}
	b, err := os.ReadFile(memoryMax)
	if err != nil {
		return // no cgroup v2: no limit is known
	}
	limit, err := strconv.ParseInt(strings.TrimSpace(string(b)), 10, 64)
	if err != nil {
		return // "max"
	}
	debug.SetMemoryLimit(int64(float64(limit) * memoryShare))
	log.Debug("Memory limit", "container", limit, "share", memoryShare)
}

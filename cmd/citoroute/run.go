package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net/netip"
	"os"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/citoroute/citoroute/internal/proxy/admin"
	"github.com/citoroute/citoroute/internal/proxy/observe"
	"github.com/citoroute/citoroute/internal/standalone"
	"github.com/citoroute/citoroute/internal/version"
)

// triesShown is how many curl lines are printed.
const triesShown = 6

type runFlags struct {
	address   string
	ports     map[string]int
	admin     string
	accessLog bool
	logLevel  string
	demo      bool
	otlp      string
	ratio     float64
	push      string
	interval  time.Duration
}

func newRun() *cobra.Command {
	var f runFlags
	c := &cobra.Command{
		Use:   "run PATH…",
		Short: "Serve a folder of manifests on this machine, and follow its changes",
		Long: `Serve the Gateways and routes in files and folders of manifests on this machine,
with no cluster. What changes in a file is served within half a second. The
status of every object is printed once, and again whenever it changes.

Services find their backends by EndpointSlices, which may name 127.0.0.1, or by
type ExternalName with a port. The GatewayClass "citoroute" and the namespaces
are there without a manifest.`,
		Example: `  citoroute run --demo examples/quickstart
  citoroute run --port 80=8080 --port 443=8443 my-app/`,
		Args: usage(somePaths),
		RunE: func(c *cobra.Command, args []string) error {
			return serveFiles(c.Context(), f, args, c.OutOrStdout(), c.ErrOrStderr())
		},
	}
	flags := c.Flags()
	flags.StringVar(&f.address, "address", "127.0.0.1", "local `address` to serve on")
	flags.StringToIntVar(&f.ports, "port", nil, "serve a listener's port on another one: `80=8080`")
	flags.StringVar(&f.admin, "admin", "127.0.0.1:15000", "`address` of readiness, metrics and the configuration; empty: none")
	flags.BoolVar(&f.accessLog, "access-log", false, "write a JSON line per request to standard error")
	flags.StringVar(&f.logLevel, "log-level", "warn", "debug, info, warn or error")
	flags.BoolVar(&f.demo, "demo", false, "also start the backends of the examples: two echo servers and a fake LLM provider")
	flags.StringVar(&f.otlp, "otlp-endpoint", os.Getenv("OTEL_EXPORTER_OTLP_ENDPOINT"),
		"base `URL` of an OTLP collector for spans (default from OTEL_EXPORTER_OTLP_ENDPOINT; its protocol from OTEL_EXPORTER_OTLP_PROTOCOL)")
	flags.Float64Var(&f.ratio, "trace-ratio", 1, "share of requests that are recorded where the caller has not decided")
	flags.StringVar(&f.push, "otlp-metrics-endpoint", "", "base `URL` of an OTLP collector that metrics are pushed to, by OTEL_EXPORTER_OTLP_PROTOCOL")
	flags.DurationVar(&f.interval, "otlp-metrics-interval", time.Minute, "time from one push of metrics to the next")
	return c
}

// serveFiles serves until ctx is done.
func serveFiles(ctx context.Context, f runFlags, paths []string, stdout, stderr io.Writer) error {
	bind, err := netip.ParseAddr(f.address)
	if err != nil {
		return usageError{fmt.Errorf("--address: %w", err)}
	}
	port, err := portMap(f.ports)
	if err != nil {
		return err
	}
	level := new(slog.LevelVar)
	if err := level.UnmarshalText([]byte(f.logLevel)); err != nil {
		return usageError{fmt.Errorf("--log-level %s: want debug, info, warn or error", f.logLevel)}
	}
	observer, err := newObserver(ctx, f, stderr)
	if err != nil {
		return err
	}
	defer observer.Close()
	s, err := standalone.New(standalone.Options{
		Paths: paths, Bind: bind, Port: port, Observe: observer,
		Log: slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: level})),
	}, true)
	if err != nil {
		return err
	}
	observer.Watch(observe.Live{Resources: s.Resources, Paused: s.Paused})
	if f.demo {
		if err := startDemo(ctx); err != nil {
			return fmt.Errorf("--demo: %w", err)
		}
	}
	out := printerFor(stdout)
	if f.admin != "" {
		handler := admin.New(admin.Options{Ready: s.Ready, Resources: s.Resources, Metrics: observer.Registry(), Level: level}).Handler()
		go func() {
			if err := admin.Serve(ctx, f.admin, handler); err != nil {
				out.Note("The gateway runs without its admin address (--admin): %v", err)
			}
		}()
	}
	first := true
	return s.Run(ctx, func(r standalone.Report) {
		printReport(out, r)
		if first {
			first = false
			for _, e := range s.Expiring(time.Now()) {
				out.Expiring(e)
			}
			printTries(out, s.Try(triesShown))
		}
	})
}

func newObserver(ctx context.Context, f runFlags, stderr io.Writer) (*observe.Observer, error) {
	options := observe.Options{Version: version.String()}
	if f.accessLog {
		options.AccessLog = stderr
	}
	if f.otlp != "" {
		var err error
		if options.Tracing, err = observe.NewTracing(ctx, f.otlp, os.Getenv("OTEL_EXPORTER_OTLP_PROTOCOL"), f.ratio); err != nil {
			return nil, usageError{fmt.Errorf("--otlp-endpoint, --trace-ratio: %w", err)}
		}
	}
	if f.push != "" {
		var err error
		if options.Push, err = observe.NewPush(ctx, f.push, os.Getenv("OTEL_EXPORTER_OTLP_PROTOCOL"), f.interval); err != nil {
			return nil, usageError{fmt.Errorf("--otlp-metrics-endpoint, --otlp-metrics-interval: %w", err)}
		}
	}
	return observe.New(options), nil
}

func printTries(out standalone.Printer, tries []string) {
	if len(tries) == 0 {
		out.Note("\nNothing is being served yet. Changes of the files are followed; end with Ctrl-C.")
		return
	}
	out.Note("\nServing. Changes of the files are followed; end with Ctrl-C. Try:\n")
	for _, t := range tries {
		out.Note("  %s", t)
	}
	out.Note("")
}

// printReport prints what changed.
func printReport(out standalone.Printer, r standalone.Report) {
	for _, p := range r.Problems {
		out.Problem(p)
	}
	if r.Mended {
		out.Note("All files can be read again")
	}
	for _, key := range r.Gone {
		out.Note("%s is gone", key)
	}
	for _, s := range r.Statuses {
		out.Status(s)
	}
}

// portMap makes a function of the --port flags.
func portMap(flags map[string]int) (func(uint16) uint16, error) {
	to := make(map[uint16]uint16, len(flags))
	for from, port := range flags {
		listener, err := strconv.ParseUint(from, 10, 16)
		if err != nil || listener == 0 || port < 0 || port > math.MaxUint16 {
			return nil, usageError{fmt.Errorf("--port %s=%d: want LISTENER=LOCAL, both from 1 to 65535; LOCAL 0: any that is free", from, port)}
		}
		to[uint16(listener)] = uint16(port)
	}
	return func(listener uint16) uint16 {
		if port, ok := to[listener]; ok {
			return port
		}
		return listener
	}, nil
}

// Command proxy is the data plane: it serves what a controller, or a mounted
// file, tells it to. It links no Kubernetes package.
//
// As a Gateway's proxy it binds the ports of its listeners. As a sidecar
// (--mode=sidecar) it takes the connections that leave its pod, which
// --mode=redirect-init has redirected to it.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/citoroute/citoroute/internal/bootstrap"
	"github.com/citoroute/citoroute/internal/version"
)

// exitUsage is the status for a command line that cannot be served.
const exitUsage = 2

// Values of --mode.
const (
	modeGateway  = "gateway"
	modeSidecar  = "sidecar"
	modeRedirect = "redirect-init"
)

func main() {
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

func run(args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("proxy", flag.ContinueOnError)
	flags.SetOutput(stderr)
	mode := flags.String("mode", modeGateway, "what to do: gateway, sidecar, or redirect-init, which redirects what this pod sends and ends")
	file := flags.String("bootstrap", "", "TOML `file` to start from (required, but for redirect-init)")
	outbound := redirectFlags(flags)
	showVersion := flags.Bool("version", false, "print the version and exit")
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return 0
		}
		return exitUsage
	}
	if *showVersion {
		_, _ = fmt.Fprintln(stdout, version.String())
		return 0
	}
	switch *mode {
	case modeGateway, modeSidecar:
		return runProxy(*mode, *file, stdout, stderr)
	case modeRedirect:
		return runRedirect(*outbound, stderr)
	}
	_, _ = fmt.Fprintf(stderr, "proxy: --mode: %q is none of %q, %q and %q\n", *mode, modeGateway, modeSidecar, modeRedirect)
	return exitUsage
}

// runProxy serves until a signal says otherwise.
func runProxy(mode, file string, stdout, stderr io.Writer) int {
	config, level, err := readBootstrap(file)
	if err != nil {
		_, _ = fmt.Fprintf(stderr, "proxy: --bootstrap: %v\n", err)
		return exitUsage
	}
	config.Capture = captureOf(mode, config.Capture)
	log := slog.New(slog.NewJSONHandler(stderr, &slog.HandlerOptions{Level: level}))
	tuneMemory(log, mode)
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal ends the program at once
	if err := serve(ctx, &config, level, stdout, log); err != nil {
		log.Error("The proxy cannot go on", "error", err)
		return 1
	}
	return 0
}

// captureOf is where connections are captured in a mode: at no port, except for
// a sidecar.
func captureOf(mode string, c bootstrap.Capture) bootstrap.Capture {
	if mode != modeSidecar {
		return bootstrap.Capture{}
	}
	return bootstrap.Capture{Port: cmp.Or(c.Port, bootstrap.CapturePort)}
}

func readBootstrap(path string) (bootstrap.Config, *slog.LevelVar, error) {
	if path == "" {
		return bootstrap.Config{}, nil, errors.New("required")
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return bootstrap.Config{}, nil, err
	}
	config, err := bootstrap.Parse(b)
	if err != nil {
		return bootstrap.Config{}, nil, fmt.Errorf("%s: %w", path, err)
	}
	level := new(slog.LevelVar)
	if err := level.UnmarshalText([]byte(config.Log.Level)); err != nil {
		return bootstrap.Config{}, nil, fmt.Errorf("%s: log.level: %w", path, err)
	}
	return config, level, nil
}

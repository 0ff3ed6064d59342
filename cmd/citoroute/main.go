// Command citoroute is CitoRoute for people: it runs a gateway from a folder of
// manifests, says what is wrong with them, explains where a request goes, and
// looks into a gateway that runs.
//
// Exit codes: 0 all is well; 1 it is not (a manifest is refused, no route
// takes the request, a gateway does not answer); 2 the command line is wrong.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/citoroute/citoroute/internal/version"
)

// Exit codes.
const (
	exitBad   = 1
	exitUsage = 2
)

// errBad ends a command with exitBad; what is wrong has been printed.
var errBad = errors.New("not well")

func main() {
	os.Exit(run(newRoot()))
}

// run runs the program's command line, until it is interrupted.
func run(root *cobra.Command) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	return execute(ctx, root, os.Args[1:], os.Stdout, os.Stderr)
}

// execute runs a command line and returns the exit code.
func execute(ctx context.Context, root *cobra.Command, args []string, stdout, stderr io.Writer) int {
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	if errors.Is(err, errBad) {
		return exitBad
	}
	_, _ = fmt.Fprintf(stderr, "citoroute: %v\n", err) // there is nobody else to tell
	if _, ok := errors.AsType[usageError](err); ok {
		return exitUsage
	}
	return exitBad
}

// usageError is a mistake in the command line.
type usageError struct{ error }

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:           "citoroute",
		Short:         "A Gateway API gateway on this machine, and a look into those that run elsewhere",
		Version:       version.String(),
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          usage(cobra.NoArgs),
		RunE:          func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	root.SetVersionTemplate("{{.Version}}\n")
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	root.CompletionOptions.HiddenDefaultCmd = true
	root.AddCommand(
		newRun(), newValidate(), newExplain(), newStatus(), newConfig(), newAPIKey(), newFakeLLM(), newEcho(),
		&cobra.Command{
			Use: "version", Short: "Print the version", Args: usage(cobra.NoArgs),
			RunE: func(c *cobra.Command, _ []string) error {
				_, err := fmt.Fprintln(c.OutOrStdout(), version.String())
				return err
			},
		},
	)
	return root
}

// somePaths wants files or folders of manifests.
func somePaths(_ *cobra.Command, args []string) error {
	if len(args) == 0 {
		return errors.New("PATH is missing, a file or folder of manifests")
	}
	return nil
}

// usage makes usage errors of what check finds.
func usage(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if err := check(c, args); err != nil {
			return usageError{fmt.Errorf("%w; see %s --help", err, c.CommandPath())}
		}
		return nil
	}
}

package main

import (
	"net/netip"
	"time"

	"github.com/spf13/cobra"

	"github.com/citoroute/citoroute/internal/standalone"
)

func newValidate() *cobra.Command {
	var quiet bool
	c := &cobra.Command{
		Use:   "validate PATH…",
		Short: "Say what is wrong with manifests, and the status that they would get",
		Long: `Check manifests as an API server and CitoRoute's controller would: schema, CEL
rules, references, conflicts. The status that each object would get is printed.
Certificates that have expired or expire within 14 days are warned of. The exit
code is 1 if something is refused or cannot work.`,
		Args: usage(cobra.MinimumNArgs(1)),
		RunE: func(c *cobra.Command, args []string) error { return validate(c, args, quiet) },
	}
	c.Flags().BoolVarP(&quiet, "quiet", "q", false, "print only what is wrong")
	return c
}

func validate(c *cobra.Command, paths []string, quiet bool) error {
	s, report, err := load(c, paths)
	if err != nil {
		return err
	}
	out := printerFor(c.OutOrStdout())
	for _, e := range s.Expiring(time.Now()) {
		out.Expiring(e)
	}
	if bad := printBad(out, report, quiet); bad > 0 {
		out.Note("\n%d of %d objects cannot be used as they are", bad, max(bad, s.Len()))
		return errBad
	}
	out.Note("\nAll %d objects are fine", s.Len())
	return nil
}

// printBad prints what is wrong and, unless quiet, what is not, and returns how
// much is wrong.
func printBad(out standalone.Printer, report standalone.Report, quiet bool) int {
	bad := 0
	for _, p := range report.Problems {
		if !p.Ignored {
			bad++
		}
		if !p.Ignored || !quiet {
			out.Problem(p)
		}
	}
	for _, st := range report.Statuses {
		if st.Rejected() {
			bad++
		}
		if st.Rejected() || !quiet {
			out.Status(st)
		}
	}
	return bad
}

// load reads manifests without serving them.
func load(c *cobra.Command, paths []string) (*standalone.Standalone, standalone.Report, error) {
	s, err := standalone.New(standalone.Options{Paths: paths, Bind: netip.AddrFrom4([4]byte{127, 0, 0, 1})}, false)
	if err != nil {
		return nil, standalone.Report{}, err
	}
	report, err := s.Load(c.Context())
	if err != nil {
		return nil, standalone.Report{}, err
	}
	return s, report, nil
}

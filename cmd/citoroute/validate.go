package main

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/citoroute/citoroute/internal/standalone"
)

func newValidate() *cobra.Command {
	var quiet bool
	c := &cobra.Command{
		Use:   "validate PATH…|-",
		Short: "Say what is wrong with manifests, and the status that they would get",
		Long: `Check manifests as an API server and CitoRoute's controller would: schema, CEL
rules, references, conflicts. The status that each object would get is printed.
Objects that lead to no Gateway of the class "citoroute" among the manifests, and
certificates that have expired or expire within 14 days, are warned of. The exit
code is 1 if something is refused or cannot work.`,
		Example: `  citoroute validate my-app/
  helm template my-app | citoroute validate -q -`,
		Args: usage(somePaths),
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
	expiring := s.Expiring(time.Now())
	for _, e := range expiring {
		out.Expiring(e)
	}
	if printed := printFindings(out, report, quiet); printed || len(expiring) > 0 {
		out.Note("")
	}
	refused, rejected, unserved := count(report)
	if s.Len()+refused == 0 {
		return errors.New("there is no object to check: want files or folders with *.yaml, *.yml or *.json, or - for standard input")
	}
	if bad := refused + rejected; bad > 0 {
		out.Note("%d of %d objects cannot be used as they are", bad, s.Len()+refused)
		return errBad
	}
	if unserved > 0 {
		out.Note("All %d objects are fine, but not served by what is here: %d", s.Len(), unserved)
		return nil
	}
	out.Note("All %d objects are fine", s.Len())
	return nil
}

// printFindings prints what is wrong and, unless quiet, what is not. It says
// whether there was anything to print.
func printFindings(out standalone.Printer, report standalone.Report, quiet bool) (printed bool) {
	for _, p := range report.Problems {
		if !p.Ignored || !quiet {
			out.Problem(p)
			printed = true
		}
	}
	for _, st := range report.Statuses {
		switch {
		case !quiet || st.Rejected():
			out.Status(st)
		case len(st.Unserved) > 0:
			out.Unserved(st)
		default:
			continue
		}
		printed = true
	}
	return printed
}

// count returns how many objects are refused, how many are taken and cannot
// work, and how many nobody serves.
func count(report standalone.Report) (refused, rejected, unserved int) {
	type object struct {
		file string
		line int
		name string
	}
	seen := map[object]bool{}
	for _, p := range report.Problems {
		if at := (object{p.File, p.Line, p.Object}); !p.Ignored && !seen[at] {
			seen[at] = true
			refused++
		}
	}
	for _, st := range report.Statuses {
		if st.Rejected() {
			rejected++
		}
		if len(st.Unserved) > 0 {
			unserved++
		}
	}
	return refused, rejected, unserved
}

// stdin is the path that stands for standard input.
const stdin = "-"

// load reads manifests without serving them.
func load(c *cobra.Command, paths []string) (*standalone.Standalone, standalone.Report, error) {
	opts := standalone.Options{Paths: paths, Bind: netip.AddrFrom4([4]byte{127, 0, 0, 1})}
	if i := slices.Index(paths, stdin); i >= 0 {
		content, err := io.ReadAll(c.InOrStdin())
		if err != nil {
			return nil, standalone.Report{}, fmt.Errorf("read standard input: %w", err)
		}
		opts.Paths, opts.Given = slices.Delete(slices.Clone(paths), i, i+1), map[string][]byte{"(standard input)": content}
	}
	s, err := standalone.New(opts, false)
	if err != nil {
		return nil, standalone.Report{}, err
	}
	report, err := s.Load(c.Context())
	if err != nil {
		return nil, standalone.Report{}, err
	}
	return s, report, nil
}

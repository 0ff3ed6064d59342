package main

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/citoroute/citoroute/internal/proxy/runtime"
	"github.com/citoroute/citoroute/internal/standalone"
)

type explainFlags struct {
	host, path, method, gateway, serverName, output string
	headers                                         []string
	port                                            uint16
}

func newExplain() *cobra.Command {
	var f explainFlags
	c := &cobra.Command{
		Use:   "explain PATH…|-",
		Short: "Say which listener, route, rule and backend a request would take, and why",
		Long: `Say where a request would go through the Gateways in a folder of manifests:
listener, route, rule, filters and backends, and what was passed over and why.
Certificates on the way that have expired or expire within 14 days are named.
The exit code is 1 if no backend would answer and no route means to.`,
		Example: `  citoroute explain examples/quickstart --path /hello
  citoroute explain my-app --host shop.example --path /cart --method POST --header 'X-User: beta'`,
		Args: usage(somePaths),
		RunE: func(c *cobra.Command, args []string) error { return explain(c, args, f) },
	}
	flags := c.Flags()
	flags.StringVar(&f.host, "host", "localhost", "`host` that the request names")
	flags.StringVar(&f.path, "path", "/", "`path` and query of the request")
	flags.StringVar(&f.method, "method", http.MethodGet, "`method` of the request")
	flags.StringArrayVar(&f.headers, "header", nil, "header field of the request, as `'Name: value'`; repeatable")
	flags.Uint16Var(&f.port, "port", 0, "`port` of the listener; 0: every one")
	flags.StringVar(&f.gateway, "gateway", "", "Gateway as `namespace/name` or name; empty: every one")
	flags.StringVar(&f.serverName, "server-name", "", "`SNI` of the TLS connection; empty: the host")
	flags.StringVarP(&f.output, "output", "o", "text", "text or json")
	return c
}

func explain(c *cobra.Command, args []string, f explainFlags) error {
	if f.output != "text" && f.output != "json" {
		return usageError{fmt.Errorf("--output %s: want text or json", f.output)}
	}
	q, err := f.question()
	if err != nil {
		return err
	}
	s, report, err := load(c, args)
	if err != nil {
		return err
	}
	ways, expiring := s.Explain(f.gateway, q), s.Expiring(time.Now())
	for i := range ways {
		ways[i].Warn(expiring)
	}
	if f.output == "json" {
		if err := printJSON(c.OutOrStdout(), ways); err != nil {
			return err
		}
	} else {
		for _, p := range report.Problems {
			printerFor(c.ErrOrStderr()).Problem(p)
		}
		for _, st := range report.Statuses {
			printerFor(c.ErrOrStderr()).Unserved(st)
		}
		printWays(c.OutOrStdout(), ways)
	}
	if len(ways) == 0 {
		return f.nowhere(s.HTTPPorts())
	}
	if !slices.ContainsFunc(ways, answers) {
		return errBad
	}
	return nil
}

// nowhere says why the request could not be asked about; ports are those that
// there are.
func (f explainFlags) nowhere(ports []string) error {
	if len(ports) == 0 {
		return errors.New("there is no HTTP listener that the request could reach; citoroute validate says why")
	}
	var asked []string
	if f.gateway != "" {
		asked = append(asked, "--gateway "+f.gateway)
	}
	if f.port != 0 {
		asked = append(asked, fmt.Sprintf("--port %d", f.port))
	}
	return fmt.Errorf("%s: no HTTP listener; there are those of %s", strings.Join(asked, " "), strings.Join(ports, ", "))
}

// question returns the request that the flags describe.
func (f explainFlags) question() (runtime.Question, error) {
	if !strings.HasPrefix(f.path, "/") {
		return runtime.Question{}, usageError{fmt.Errorf("--path %s: want a path that begins with /", f.path)}
	}
	q := runtime.Question{Port: f.port, Host: f.host, Target: f.path, Method: f.method, ServerName: f.serverName}
	for _, h := range f.headers {
		name, value, ok := strings.Cut(h, ":")
		if !ok {
			return q, usageError{fmt.Errorf("--header %q: want 'Name: value'", h)}
		}
		q.Header = append(q.Header, [2]string{strings.TrimSpace(name), strings.TrimSpace(value)})
	}
	return q, nil
}

// answers says that a backend would answer, or the route itself as it means to.
func answers(w standalone.Way) bool {
	return w.Route != "" && (len(w.Backends) > 0 || w.Status < http.StatusBadRequest)
}

func printWays(out io.Writer, ways []standalone.Way) {
	for _, w := range ways {
		_, _ = fmt.Fprintln(out, w.Gateway)
		printWay(w, func(name, value string) {
			if value != "" {
				_, _ = fmt.Fprintf(out, "  %-9s %s\n", name, value)
			}
		})
	}
}

func printWay(w standalone.Way, row func(name, value string)) {
	row("listener", w.Listener)
	row("route", w.Route)
	row("rule", w.Rule)
	row("hostname", w.Hostname)
	row("match", w.Match)
	for _, l := range w.Limits {
		row("limit", l)
	}
	for _, f := range w.Filters {
		row("filter", f)
	}
	for _, b := range w.Backends {
		row("backend", describeBackend(b))
	}
	if w.Status != 0 {
		row("answer", fmt.Sprintf("%d %s, by the gateway itself", w.Status, http.StatusText(w.Status)))
	}
	for _, e := range w.Expiring {
		row("warning", e.Certificate+": "+e.Message)
	}
	for _, why := range w.Why {
		row("because", why)
	}
}

func describeBackend(b runtime.BackendShare) string {
	out := fmt.Sprintf("%s  %.4g%%  %s", b.Backend, b.Share*100, strings.Join(b.Endpoints, ", "))
	if b.Status != 0 {
		out = fmt.Sprintf("answers %d by itself  %.4g%%", b.Status, b.Share*100)
	}
	return strings.TrimSpace(strings.TrimSpace(out) + "  " + b.When)
}

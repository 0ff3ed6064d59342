package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/citoroute/citoroute/internal/ir"
)

// adminTimeout limits a question to a running gateway.
const adminTimeout = 10 * time.Second

func newStatus() *cobra.Command {
	var addr string
	c := &cobra.Command{
		Use:   "status",
		Short: "Say what a running gateway serves",
		Long: `Ask a running gateway, through its admin address, whether it is ready and which
listeners, routes and backends it serves. For one in a cluster, forward its
admin port first: kubectl port-forward deploy/NAME 15000:15000.`,
		Args: usage(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error { return showStatus(c, addr) },
	}
	adminFlag(c, &addr)
	return c
}

func newConfig() *cobra.Command {
	var addr, kind string
	c := &cobra.Command{
		Use:   "config",
		Short: "Print the configuration of a running gateway, secrets redacted",
		Args:  usage(cobra.NoArgs),
		RunE:  func(c *cobra.Command, _ []string) error { return showConfig(c, addr, kind) },
	}
	adminFlag(c, &addr)
	c.Flags().StringVar(&kind, "type", "", "only resources of this `type`: listener, route, backend, endpoints, policy or secret")
	return c
}

func showConfig(c *cobra.Command, addr, kind string) error {
	if kind != "" {
		if _, err := ir.New(ir.Type(kind)); err != nil {
			return usageError{fmt.Errorf("--type %s: want listener, route, backend, endpoints, policy or secret", kind)}
		}
	}
	resources, err := fetchConfig(c.Context(), addr)
	if err != nil {
		return err
	}
	if kind != "" {
		resources = slices.DeleteFunc(resources, func(r dumped) bool { return string(r.Type) != kind })
	}
	return printJSON(c.OutOrStdout(), resources)
}

func adminFlag(c *cobra.Command, addr *string) {
	c.Flags().StringVar(addr, "admin", "127.0.0.1:15000", "admin `address` of the gateway")
}

// dumped is a resource of a configuration dump.
type dumped struct {
	Type     ir.Type         `json:"type"`
	Resource json.RawMessage `json:"resource"`
}

func fetchConfig(ctx context.Context, addr string) ([]dumped, error) {
	status, body, err := ask(ctx, addr, "/config")
	if err != nil {
		return nil, err
	}
	if status != http.StatusOK {
		return nil, fmt.Errorf("the gateway at %s answers /config with %d", addr, status)
	}
	var out []dumped
	if err := json.Unmarshal(body, &out); err != nil {
		return nil, fmt.Errorf("the gateway at %s: %w", addr, err)
	}
	return out, nil
}

func ask(ctx context.Context, addr, path string) (status int, body []byte, err error) {
	ctx, cancel := context.WithTimeout(ctx, adminTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+path, http.NoBody)
	if err != nil {
		return 0, nil, usageError{fmt.Errorf("--admin: %w", err)}
	}
	client := http.Client{}
	res, err := client.Do(req)
	if err != nil {
		return 0, nil, fmt.Errorf("no gateway answers (--admin): %w", err)
	}
	defer func() { _ = res.Body.Close() }()
	if body, err = io.ReadAll(res.Body); err != nil {
		return 0, nil, fmt.Errorf("the gateway at %s: %w", addr, err)
	}
	return res.StatusCode, body, nil
}

func showStatus(c *cobra.Command, addr string) error {
	ready, _, err := ask(c.Context(), addr, "/readyz")
	if err != nil {
		return err
	}
	resources, err := fetchConfig(c.Context(), addr)
	if err != nil {
		return err
	}
	state := "ready"
	if ready != http.StatusOK {
		state = "not ready"
	}
	if err := printResources(c.OutOrStdout(), addr+" is "+state, resources); err != nil {
		return fmt.Errorf("the gateway at %s: %w", addr, err)
	}
	if ready != http.StatusOK {
		return errBad
	}
	return nil
}

// printResources prints a table below a headline.
func printResources(out io.Writer, headline string, resources []dumped) error {
	w := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	_, _ = fmt.Fprintf(w, "%s\n\nTYPE\tNAME\tDETAILS\n", headline)
	for _, d := range resources {
		var named struct {
			Name string `json:"name"`
		}
		if err := json.Unmarshal(d.Resource, &named); err != nil {
			return err
		}
		_, _ = fmt.Fprintf(w, "%s\t%s\t%s\n", d.Type, named.Name, d.details())
	}
	return w.Flush()
}

// details says the most important of a resource in a few words. A newer
// gateway's resource, or a secret, has none.
func (d dumped) details() string {
	r, err := ir.New(d.Type)
	if err != nil || json.Unmarshal(d.Resource, r) != nil {
		return ""
	}
	switch r := r.(type) {
	case *ir.Listener:
		return fmt.Sprintf("%s %d, %s", r.Protocol, r.Port, cmp.Or(r.Hostname, anyHost))
	case *ir.Route:
		return fmt.Sprintf("%s, rules: %d", cmp.Or(strings.Join(r.Hostnames, ", "), anyHost), len(r.Rules))
	case *ir.Backend:
		if r.LLM != nil {
			return fmt.Sprintf("%s %s at %s", r.LLM.Provider, r.LLM.Model, r.LLM.Host)
		}
		return string(r.Protocol)
	case *ir.Endpoints:
		return addresses(r.Addresses)
	}
	return ""
}

// anyHost stands for no hostname.
const anyHost = "any host"

func addresses(endpoints []ir.Endpoint) string {
	var out []string
	for _, e := range endpoints {
		out = append(out, fmt.Sprintf("%s:%d", e.Host, e.Port))
	}
	return strings.Join(out, ", ")
}

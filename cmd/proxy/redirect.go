package main

import (
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"strconv"
	"strings"

	"github.com/citoroute/citoroute/internal/bootstrap"
	"github.com/citoroute/citoroute/internal/proxy/redirect"
)

// redirectFlags say which connections --mode=redirect-init leaves alone.
func redirectFlags(flags *flag.FlagSet) *redirect.Config {
	c := &redirect.Config{}
	flags.Func("include-cidrs", "with --mode=redirect-init: `networks` to redirect, separated by commas (default all)",
		list(netip.ParsePrefix, &c.Include))
	flags.Func("exclude-cidrs", "with --mode=redirect-init: `networks` to leave alone, separated by commas",
		list(netip.ParsePrefix, &c.Exclude))
	flags.Func("exclude-ports", "with --mode=redirect-init: TCP `ports` to leave alone, separated by commas",
		list(parsePort, &c.ExcludePorts))
	return c
}

// list returns what reads values that are separated by commas.
func list[T any](parse func(string) (T, error), to *[]T) func(string) error {
	return func(s string) error {
		for word := range strings.SplitSeq(s, ",") {
			v, err := parse(strings.TrimSpace(word))
			if err != nil {
				return err
			}
			*to = append(*to, v)
		}
		return nil
	}
}

func parsePort(s string) (uint16, error) {
	port, err := strconv.ParseUint(s, 10, 16)
	if err != nil || port == 0 {
		return 0, fmt.Errorf("%q is no port from 1 to 65535", s)
	}
	return uint16(port), nil
}

// runRedirect has the kernel redirect what this pod sends, and says what it did
// in one line.
func runRedirect(c redirect.Config, stderr io.Writer) int {
	log := slog.New(slog.NewJSONHandler(stderr, nil))
	skipped, err := redirect.Program(redirect.Tables(c))
	if err != nil {
		log.Error("Outbound connections are not redirected", "error", err)
		return 1
	}
	args := []any{"port", bootstrap.CapturePort, "except_user", bootstrap.SidecarUserID}
	if len(c.Include) > 0 {
		args = append(args, "networks", c.Include)
	}
	if len(c.Exclude) > 0 {
		args = append(args, "except_networks", c.Exclude)
	}
	if len(c.ExcludePorts) > 0 {
		args = append(args, "except_ports", c.ExcludePorts)
	}
	if skipped != nil {
		args = append(args, "except_ipv6", skipped)
	}
	log.Info("Outbound TCP connections are redirected", args...)
	return 0
}

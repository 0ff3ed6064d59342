package source

import (
	"log/slog"
	"os"

	"github.com/citoroute/citoroute/internal/bootstrap"
	"github.com/citoroute/citoroute/internal/ir"
	"github.com/citoroute/citoroute/internal/push"
)

// Stream returns a client that follows the controllers that c names. have is
// what sink already serves.
func Stream(c *bootstrap.Config, sink push.Sink, have []ir.Resource, version string, log *slog.Logger) *push.Client {
	host, err := os.Hostname() // the pod's name
	if err != nil {
		host = "unknown"
	}
	return &push.Client{
		Node: c.Node, Proxy: host, Version: version,
		Servers:     c.Stream.Servers,
		Credentials: push.FileCredentials(c.Stream.CAFile, c.Stream.ServerName),
		Token:       push.FileToken(c.Stream.TokenFile),
		Sink:        sink, Have: have, Logger: log,
	}
}

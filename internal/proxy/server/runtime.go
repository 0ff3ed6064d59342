package server

import (
	"log/slog"
	"math/rand/v2"

	"github.com/citoroute/citoroute/internal/proxy/awsauth"
	"github.com/citoroute/citoroute/internal/proxy/awsauth/chain"
	"github.com/citoroute/citoroute/internal/proxy/h1"
	"github.com/citoroute/citoroute/internal/proxy/h2"
	"github.com/citoroute/citoroute/internal/proxy/jwks"
	"github.com/citoroute/citoroute/internal/proxy/observe"
	"github.com/citoroute/citoroute/internal/proxy/runtime"
)

// NewRuntime returns an empty runtime that reaches backends over this
// repository's codecs, fetches the keys of token issuers over https from any
// address but this machine's, gets AWS credentials through AWS's SDK, and tells
// o of every exchange: what Options.Runtime is in a program.
func NewRuntime(o *observe.Observer) *runtime.Runtime {
	http1 := h1.NewTransport(h1.Options{})
	return runtime.New(runtime.Options{
		HTTP1: http1, HTTP2: h2.NewTransport(http1), Observer: o,
		Keys: jwks.NewStore(jwks.Options{Fetch: jwks.Fetcher(jwks.NotThisMachine, false), Log: slog.Default()}),
		AWS:  awsauth.NewStore(awsauth.Options{Fetch: chain.Fetch, Rand: rand.Uint64, Log: slog.Default()}),
	})
}

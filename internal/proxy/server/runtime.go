package server

import (
	"log/slog"
	"math"
	"math/rand/v2"
	"net/netip"
	"runtime/debug"
	"time"

	"github.com/citoroute/citoroute/internal/proxy/awsauth"
	"github.com/citoroute/citoroute/internal/proxy/awsauth/chain"
	"github.com/citoroute/citoroute/internal/proxy/h1"
	"github.com/citoroute/citoroute/internal/proxy/h2"
	"github.com/citoroute/citoroute/internal/proxy/jwks"
	"github.com/citoroute/citoroute/internal/proxy/observe"
	"github.com/citoroute/citoroute/internal/proxy/runtime"
	"github.com/citoroute/citoroute/internal/proxy/upstream"
)

// NewRuntime returns an empty runtime that reaches backends over this
// repository's codecs and connections that dial makes, whose Room is its own,
// fetches the keys of token issuers from the internet over https and from the
// networks in issuers, gets AWS credentials through AWS's SDK, and tells o of
// every exchange: what Options.Runtime is in a program.
func NewRuntime(o *observe.Observer, issuers []netip.Prefix, dial upstream.Dialer) *runtime.Runtime {
	http1 := h1.NewTransport(h1.Options{Dial: dial.DialContext, Wanted: dial.Room.Wanted})
	http2 := h2.NewTransport(http1, dial.DialContext)
	dial.Room.Relieve(func() {
		http1.CloseIdle()
		http2.CloseIdle()
	})
	return runtime.New(runtime.Options{
		HTTP1: http1, HTTP2: http2, Observer: o, Sampler: o.Sampler(), LogContent: o.Logs(), LLMMemory: llmMemory(),
		Panicked: panicked(o, slog.Default()),
		Keys:     jwks.NewStore(jwks.Options{Fetch: jwks.Fetcher(issuers), Spread: rand.N[time.Duration], Log: slog.Default()}),
		AWS:      awsauth.NewStore(awsauth.Options{Fetch: chain.Fetch, Rand: rand.Uint64, Log: slog.Default()}),
	})
}

// llmMemory is half of the memory that the process may use, where that is known.
func llmMemory() int64 {
	limit := debug.SetMemoryLimit(-1) // only asks
	if limit == math.MaxInt64 {
		return 0
	}
	return limit / 2
}

package server

import (
	"log/slog"
	"runtime/debug"

	"github.com/citoroute/citoroute/internal/proxy/observe"
)

// panicked returns what tells an operator of a panic that was held back: it cost
// one connection, stream or resource instead of all of them. It is to be called
// where the panic was recovered, so that the log says where it began.
func panicked(o *observe.Observer, log *slog.Logger) func(v any) {
	return func(v any) {
		o.Panicked()
		log.Error("A fault in the proxy's code, please report it", "panic", v, "stack", string(debug.Stack()))
	}
}

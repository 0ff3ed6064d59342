package standalone

import (
	"context"
	"log/slog"
	"net/netip"
	"strings"
	"sync"

	"github.com/citoroute/citoroute/internal/engine"
	"github.com/citoroute/citoroute/internal/ir"
	"github.com/citoroute/citoroute/internal/proxy/jwks"
	"github.com/citoroute/citoroute/internal/proxy/names"
	"github.com/citoroute/citoroute/internal/proxy/observe"
	"github.com/citoroute/citoroute/internal/proxy/runtime"
	"github.com/citoroute/citoroute/internal/proxy/server"
	"github.com/citoroute/citoroute/internal/proxy/upstream"
	"github.com/citoroute/citoroute/internal/translate"
)

// gateway is the data plane of one Gateway.
type gateway struct {
	runtime *runtime.Runtime
	// server is nil where nothing is to be served.
	server *server.Server
	// apply makes an update live; the error names the resource or listener.
	apply func(ir.Update) error
	stop  context.CancelFunc
	// rejected is why the last update could not be served; empty: it is.
	rejected string
}

// fleet is the data planes of all Gateways.
type fleet struct {
	// serve says that sockets are to be bound; without, configurations are
	// compiled only.
	serve    bool
	bind     netip.Addr
	port     func(uint16) uint16
	observer *observe.Observer
	log      *slog.Logger

	running  sync.WaitGroup
	mu       sync.Mutex // guards gateways against the admin's questions
	gateways map[string]*gateway
}

// apply makes the data planes follow the engine.
func (f *fleet) apply(ctx context.Context, r engine.Result) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, node := range r.RemovedNodes {
		if g := f.gateways[node]; g != nil {
			g.follow(ir.Update{Complete: true}) // whose metrics go with it
			g.stop()
			delete(f.gateways, node)
		}
	}
	for node, update := range r.Nodes {
		if f.gateways[node] == nil {
			f.gateways[node] = f.start(ctx)
		}
		f.gateways[node].follow(update)
	}
}

// follow makes an update live and notes why it cannot be, if it cannot.
func (g *gateway) follow(u ir.Update) {
	g.rejected = ""
	if err := g.apply(u); err != nil {
		g.rejected = strings.ReplaceAll(err.Error(), "\n", "; ")
	}
}

// start makes the data plane of a new Gateway.
func (f *fleet) start(ctx context.Context) *gateway {
	dial := upstream.Dialer{Local: true, Room: server.RoomForBackends(false, f.log), Names: names.New(names.Options{Log: f.log})}
	g := &gateway{runtime: server.NewRuntime(f.observer, jwks.Local(), dial), stop: func() {}}
	if g.apply = g.runtime.Apply; !f.serve {
		return g
	}
	g.server = server.New(server.Options{
		Runtime: g.runtime, Observe: f.observer, Dial: dial, Bind: f.bind, Port: f.port, Log: f.log,
	})
	g.apply = g.server.Apply
	ctx, g.stop = context.WithCancel(ctx)
	f.running.Go(func() { g.server.Run(ctx) })
	return g
}

// of returns the data plane of a Gateway, or nil.
func (f *fleet) of(key translate.Key) *gateway {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.gateways[engine.NodeOf(key)]
}

// ready says that every Gateway serves.
func (f *fleet) ready() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, g := range f.gateways {
		if g.server != nil && !g.server.Ready() {
			return false
		}
	}
	return true
}

// resources returns what all Gateways serve.
func (f *fleet) resources() []ir.Resource {
	f.mu.Lock()
	defer f.mu.Unlock()
	var out []ir.Resource
	for _, g := range f.gateways {
		out = append(out, g.runtime.Resources()...)
	}
	return out
}

// paused returns, by the names of the LLM backends, how many models each is not
// asked for at the moment, at the Gateway where these are most.
func (f *fleet) paused() map[string]int {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := make(map[string]int)
	for _, g := range f.gateways {
		for backend, models := range g.runtime.Paused() {
			out[backend] = max(out[backend], models)
		}
	}
	return out
}

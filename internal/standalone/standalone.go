package standalone

import (
	"context"
	"log/slog"
	"net/netip"
	"reflect"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/citoroute/citoroute/internal/engine"
	"github.com/citoroute/citoroute/internal/ir"
	"github.com/citoroute/citoroute/internal/proxy/observe"
	"github.com/citoroute/citoroute/internal/status"
	"github.com/citoroute/citoroute/internal/translate"
)

// Options say what to read and how to serve it.
type Options struct {
	// Paths are files and folders of manifests; folders are read to their depth.
	Paths []string
	// Given are manifests by a name for messages, besides those in files.
	Given map[string][]byte
	// Bind is the local address of every socket.
	Bind netip.Addr
	// Port maps a listener's port to the port that is bound; nil keeps it.
	Port func(listener uint16) uint16
	// Observe counts and logs requests; nil: a new one.
	Observe *observe.Observer
	// Log receives what the data plane has to say; nil discards it.
	Log *slog.Logger
}

// Standalone is a gateway made from files. Create one with New, then Load and,
// to serve, Run. It is not safe for concurrent use, except for Ready,
// Resources and Paused.
type Standalone struct {
	opts   Options
	source source
	world  *world
	engine *engine.Engine
	fleet  *fleet

	// shown is what was last reported of each object.
	shown    map[translate.Key]Status
	problems []Problem
}

// Report is what changed with a load.
type Report struct {
	// Problems are all that there are now, if they are others than before.
	// Mended says that there were some and there are none now.
	Problems []Problem
	Mended   bool
	// Statuses are those that are new or have changed, sorted by kind and name.
	Statuses []Status
	// Gone are objects that are no longer there.
	Gone []translate.Key
}

// New returns a Standalone that has read nothing yet. serve says whether
// sockets are to be bound; without, everything but that is done, and routes for
// Services are checked, which only a mesh can serve.
func New(opts Options, serve bool) (*Standalone, error) {
	w, err := newWorld()
	if err != nil {
		return nil, err
	}
	opts.complete()
	return &Standalone{
		opts:   opts,
		source: source{opts.Paths, opts.Given},
		world:  w,
		engine: engine.New(engine.Options{ControllerName: controllerName, LocalBackends: true, Mesh: !serve}),
		fleet: &fleet{
			serve: serve, bind: opts.Bind, port: opts.Port, observer: opts.Observe, log: opts.Log,
			gateways: map[string]*gateway{},
		},
		shown: map[translate.Key]Status{},
	}, nil
}

// complete fills in what may be left out.
func (o *Options) complete() {
	if o.Observe == nil {
		o.Observe = observe.New(observe.Options{})
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
}

// Load reads the files once and serves what is in them for as long as ctx is
// not done. The error says that a path is not there.
func (s *Standalone) Load(ctx context.Context) (Report, error) {
	looks, err := s.source.looks()
	if err != nil {
		return Report{}, err
	}
	return s.take(ctx, looks), nil
}

// Run loads, tells report of it, and goes on doing so whenever a file changes.
// When ctx is done it drains what is being served and returns.
func (s *Standalone) Run(ctx context.Context, report func(Report)) error {
	looks, err := s.source.looks()
	if err != nil {
		return err
	}
	report(s.take(ctx, looks))
	s.source.watch(ctx, looks, func(looks map[string]look) {
		report(s.take(ctx, looks))
	})
	s.fleet.running.Wait()
	return nil
}

// Ready says that everything that was loaded is being served.
func (s *Standalone) Ready() bool { return s.fleet.ready() }

// Resources returns what is being served, for a config dump.
func (s *Standalone) Resources() []ir.Resource { return s.fleet.resources() }

// Paused returns, by the names of the LLM backends, how many models each is not
// asked for at the moment.
func (s *Standalone) Paused() map[string]int { return s.fleet.paused() }

// take reads the files and makes them live.
func (s *Standalone) take(ctx context.Context, looks map[string]look) Report {
	files, unreadable := s.source.read(looks)
	changes, problems := s.world.load(ctx, files, unreadable)
	result := s.engine.Apply(changes...)
	s.fleet.apply(ctx, result)
	var report Report
	if !slices.Equal(problems, s.problems) {
		report.Mended = len(problems) == 0
		s.problems, report.Problems = problems, problems
	}
	s.reportStatuses(&report)
	return report
}

// reportStatuses finds the statuses that differ from what was shown.
func (s *Standalone) reportStatuses(report *Report) {
	report.Gone = s.gone()
	for key := range s.world.objects {
		now, err := s.status(key)
		if err != nil || len(now.Sections)+len(now.Unserved) == 0 {
			continue // a kind without a status
		}
		if !reflect.DeepEqual(s.shown[key], now) {
			s.shown[key] = now
			report.Statuses = append(report.Statuses, now)
		}
	}
	slices.SortFunc(report.Statuses, func(a, b Status) int { return a.Key.Compare(b.Key) })
}

// gone forgets the objects that were shown and are no longer there.
func (s *Standalone) gone() []translate.Key {
	var out []translate.Key
	for key := range s.shown {
		if _, there := s.world.objects[key]; !there {
			delete(s.shown, key)
			out = append(out, key)
		}
	}
	slices.SortFunc(out, translate.Key.Compare)
	return out
}

// status computes what a controller would write about an object.
func (s *Standalone) status(key translate.Key) (Status, error) {
	obj := s.engine.Object(key)
	updated, _ := status.Compute(obj, s.engine.Report(key), s.facts(key, obj), metav1.Time{})
	out, err := statusOf(key, s.world.where(key), updated)
	if len(out.Sections) == 0 && reportable(key.Kind) {
		out.Unserved = s.unserved(key, obj)
	}
	return out, err
}

// reportable says whether a kind has a status that somebody must write.
func reportable(kind translate.Kind) bool {
	return !slices.Contains([]translate.Kind{
		translate.KindService, translate.KindEndpointSlice, translate.KindSecret, translate.KindConfigMap,
		translate.KindNamespace, translate.KindReferenceGrant, translate.KindGatewayParameters,
	}, kind)
}

// facts are what only the running data plane knows of a Gateway, or of that of
// a ListenerSet.
func (s *Standalone) facts(key translate.Key, obj translate.Object) status.Facts {
	if set, ok := obj.(*gatewayv1.ListenerSet); ok {
		key = translate.GatewayOf(set)
	}
	g := s.fleet.of(key)
	if g == nil {
		return status.Facts{}
	}
	address := gatewayv1.GatewayStatusAddress{Type: new(gatewayv1.IPAddressType), Value: s.opts.Bind.String()}
	return status.Facts{
		Addresses: []gatewayv1.GatewayStatusAddress{address}, Serving: g.rejected == "", Rejected: g.rejected,
	}
}

// gateways returns the Gateways that there are, sorted.
func (s *Standalone) gateways() []translate.Key {
	var out []translate.Key
	for key := range s.world.objects {
		if key.Kind == translate.KindGateway {
			out = append(out, key)
		}
	}
	slices.SortFunc(out, translate.Key.Compare)
	return out
}

// Len returns how many objects the files hold.
func (s *Standalone) Len() int { return len(s.world.objects) }

package runtime

import (
	"cmp"
	"math/bits"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/citoroute/citoroute/internal/ir"
	"github.com/citoroute/citoroute/internal/proxy/balance"
)

// set is a set of targets of one rule, by index.
type set uint64

// maxTargets is how many targets an LLM rule can have.
const maxTargets = 64

func (s set) has(i int) bool { return s&(1<<i) != 0 }

// plan is how an LLM rule chooses among its targets.
type plan struct {
	targets []target
	weights []uint32
	// groups are the targets by priority, the first to be asked first.
	groups []set
	// A request goes to the targets of the most specific entry that its model
	// fits: exact, then patterns in their order, then rest.
	exact    map[string]set
	patterns []pattern
	rest     set
	// shares has a *balance.Weighted for each set among which was chosen.
	shares sync.Map
	start  uint64

	attempts int
	causes   []ir.LLMFault // empty: all
	budget   balance.Budget
}

// pattern is a name of models with one "*" in it.
type pattern struct {
	before, after string
	targets       set
}

// match returns what the "*" stands for in model.
func (p *pattern) match(model string) (rest string, ok bool) {
	if len(model) < len(p.before)+len(p.after) || !strings.HasPrefix(model, p.before) || !strings.HasSuffix(model, p.after) {
		return "", false
	}
	return model[len(p.before) : len(model)-len(p.after)], true
}

// defaultAttempts is how many backends are asked where a rule does not say.
const defaultAttempts = 3

func newPlan(in *ir.Rule, targets []target, start uint64) *plan {
	p := &plan{
		targets: targets, exact: map[string]set{}, start: start,
		attempts: cmp.Or(in.LLM.Failover.Attempts, defaultAttempts), causes: in.LLM.Failover.Causes,
	}
	byPriority := map[int]set{}
	for i := range min(len(in.Backends), maxTargets) {
		b := &in.Backends[i]
		p.weights = append(p.weights, b.Weight)
		if b.Weight == 0 {
			continue
		}
		of := llmTarget(b)
		byPriority[of.Priority] |= 1 << i
		p.serve(i, of.Models)
	}
	slices.SortStableFunc(p.patterns, func(a, b pattern) int {
		return cmp.Compare(len(b.before)+len(b.after), len(a.before)+len(a.after))
	})
	for len(byPriority) > 0 {
		first := minKey(byPriority)
		p.groups = append(p.groups, byPriority[first])
		delete(byPriority, first)
	}
	return p
}

func minKey(m map[int]set) int {
	first := true
	var out int
	for k := range m {
		if first || k < out {
			first, out = false, k
		}
	}
	return out
}

// serve notes which models target i serves.
func (p *plan) serve(i int, models []string) {
	if len(models) == 0 {
		p.rest |= 1 << i
	}
	for _, name := range models {
		before, after, wild := strings.Cut(name, "*")
		if !wild {
			p.exact[name] |= 1 << i
			continue
		}
		at := slices.IndexFunc(p.patterns, func(o pattern) bool { return o.before == before && o.after == after })
		if at < 0 {
			at = len(p.patterns)
			p.patterns = append(p.patterns, pattern{before: before, after: after})
		}
		p.patterns[at].targets |= 1 << i
	}
}

// serving returns the targets that serve a model, and what the "*" of their
// entry stands for: the whole name where there is no "*".
func (p *plan) serving(model string) (s set, wild string) {
	if s, ok := p.exact[model]; ok {
		return s, model
	}
	for i := range p.patterns {
		if wild, ok := p.patterns[i].match(model); ok {
			return p.patterns[i].targets, wild
		}
	}
	return p.rest, model
}

// choose picks a target out of among: one of the first group that has an open
// one, by weight. ok is false where none is open.
func (p *plan) choose(among set, open, enter func(i int) bool) (i int, ok bool) {
	for _, group := range p.groups {
		var usable set
		for rest := among & group; rest != 0; rest &= rest - 1 {
			if i := bits.TrailingZeros64(uint64(rest)); open(i) {
				usable |= 1 << i
			}
		}
		for usable != 0 {
			i := p.share(usable)
			if enter(i) {
				return i, true
			}
			usable &^= 1 << i
		}
	}
	return 0, false
}

// share picks one of s by weight. Each set has its own sequence, so shares are
// exact whichever of the targets are open.
func (p *plan) share(s set) int {
	if bits.OnesCount64(uint64(s)) == 1 {
		return bits.TrailingZeros64(uint64(s))
	}
	w, ok := p.shares.Load(s)
	if !ok {
		weights := slices.Clone(p.weights)
		for i := range weights {
			if !s.has(i) {
				weights[i] = 0
			}
		}
		w, _ = p.shares.LoadOrStore(s, balance.NewWeighted(weights, p.start))
	}
	return w.(*balance.Weighted).Pick() //nolint:forcetypeassert // the map holds nothing else.
}

// soonest returns the target out of among that is free first.
func soonest(among set, freeAt func(i int) time.Time) int {
	first := bits.TrailingZeros64(uint64(among))
	for rest := among; rest != 0; rest &= rest - 1 {
		if i := bits.TrailingZeros64(uint64(rest)); freeAt(i).Before(freeAt(first)) {
			first = i
		}
	}
	return first
}

// failsOver says that after such a failure another target is asked.
func (p *plan) failsOver(f ir.LLMFault) bool {
	return len(p.causes) == 0 || slices.Contains(p.causes, f)
}

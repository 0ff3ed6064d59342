package upstream

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/citoroute/citoroute/internal/proxy/balance"
)

// maxStandings is how many models of a backend are told apart, and maxModelName how
// long their names may be, in bytes: clients may name as many as they like. No
// identifier of Bedrock is longer.
const (
	maxStandings = 1024
	maxModelName = 2048
)

// standings are those of an LLM backend's models that were in trouble.
type standings struct {
	byModel sync.Map // string to *balance.Standing
	count   atomic.Int32
	rest    balance.Standing // of all other models
}

// Standing is how the backend has done lately with a model; nil: it was never
// in trouble.
func (c *Cluster) Standing(model string) *balance.Standing {
	if s := c.standings.Load(); s != nil {
		return s.find(model)
	}
	return nil
}

// Troubled is Standing, and never nil: for noting that a model is in trouble. It
// keeps the name.
func (c *Cluster) Troubled(model string) *balance.Standing {
	s := c.standings.Load()
	for s == nil {
		c.standings.CompareAndSwap(nil, &standings{})
		s = c.standings.Load()
	}
	if one := s.find(model); one != nil {
		return one
	}
	one, known := s.byModel.LoadOrStore(model, &balance.Standing{})
	if !known {
		s.count.Add(1)
	}
	return one.(*balance.Standing) //nolint:forcetypeassert // the map holds nothing else.
}

// find returns the standing of a model, nil where it has none.
func (s *standings) find(model string) *balance.Standing {
	if one, ok := s.byModel.Load(model); ok {
		return one.(*balance.Standing) //nolint:forcetypeassert // the map holds nothing else.
	}
	if s.count.Load() >= maxStandings || len(model) > maxModelName {
		return &s.rest
	}
	return nil
}

// paused returns how many models the backend is not asked for at the moment. All
// those that are not told apart count as one.
func (c *Cluster) paused(now time.Time) (models int) {
	s := c.standings.Load()
	if s == nil {
		return 0
	}
	count := func(one *balance.Standing) {
		if !one.Open(now) {
			models++
		}
	}
	s.byModel.Range(func(_, one any) bool {
		count(one.(*balance.Standing)) //nolint:forcetypeassert // the map holds nothing else.
		return true
	})
	count(&s.rest)
	return models
}

// forgive forgets every trouble: the backend is another one now.
func (c *Cluster) forgive() { c.standings.Store(nil) }

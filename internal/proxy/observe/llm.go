package observe

import (
	"slices"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/citoroute/citoroute/internal/ai/chat"
	"github.com/citoroute/citoroute/internal/proxy/runtime"
)

// llmMetrics count what goes to LLM providers. Observer.llmMu guards them.
type llmMetrics struct {
	requests, attempts, tokens, assumed, cost *prometheus.CounterVec
	limits                                    limitMetrics
	genAI                                     genAI
	models                                    models
}

// llmLabels are those that every counter has.
func llmLabels(more ...string) []string {
	return append([]string{"listener", "route", "consumer", "backend", "provider", "model"}, more...)
}

func newLLMMetrics(r prometheus.Registerer) llmMetrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		v := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "citoroute_llm_" + name, Help: help}, llmLabels(labels...))
		r.MustRegister(v)
		return v
	}
	return llmMetrics{
		requests: counter("requests_total", "Requests to LLM routes by what the client got, from the backend that was asked last.",
			"status", "outcome"),
		attempts: counter("attempts_total", "Attempts at LLM providers by what they answered: several where one failed over.",
			"status", "outcome"),
		tokens: counter("tokens_total", "Tokens as the providers counted them, over all attempts. "+
			"cached_input and cache_write are part of input, reasoning is part of output.", "type"),
		assumed: counter("assumed_tokens_total", "Tokens beyond those counted by the providers, by size: of streams whose last count never came.", "type"),
		cost:    counter("cost_usd_total", "What the tokens cost by the price table, in US dollars; models without a price are left out."),
		limits:  newLimitMetrics(r),
		genAI:   newGenAI(r),
	}
}

// forget drops the series of a route.
func (m *llmMetrics) forget(route prometheus.Labels) {
	for _, vec := range []*prometheus.CounterVec{m.requests, m.attempts, m.tokens, m.assumed, m.cost} {
		vec.DeletePartialMatch(route)
	}
	m.limits.forget(route)
}

// llmKey tells the LLM series of one route apart.
type llmKey struct{ consumer, backend, provider, model string }

// llmSeries are the counters of one route and key. A counter comes into being
// when there is something to count.
type llmSeries struct {
	labels             []string
	requests, attempts recent[ending, prometheus.Counter]
	tokens, assumed    [tokenTypes]prometheus.Counter
	cost               prometheus.Counter
}

// llmOf returns the series of a key. o.llmMu is held.
func (o *Observer) llmOf(r *routeMetrics, key llmKey) *llmSeries {
	s, ok := r.llm.get(key)
	if !ok {
		s = &llmSeries{labels: []string{r.listener, r.label, key.consumer, key.backend, key.provider, key.model}}
		r.llm.put(key, s)
	}
	return s
}

// with returns the counter of vec with these labels and more.
func (s *llmSeries) with(vec *prometheus.CounterVec, more ...string) prometheus.Counter {
	return vec.WithLabelValues(append(slices.Clip(s.labels), more...)...)
}

// count adds one to the counter of an ending.
func (s *llmSeries) count(vec *prometheus.CounterVec, by *recent[ending, prometheus.Counter], e ending) {
	c, ok := by.get(e)
	if !ok {
		c = s.with(vec, e.statusLabel(), e.outcome)
		by.put(e, c)
	}
	c.Inc()
}

// Types of tokens. Input and output add up to all; the others are parts.
const (
	inputTokens = iota
	outputTokens
	cachedTokens
	cacheWriteTokens
	reasoningTokens
	tokenTypes
)

func tokensOf(u chat.Usage) [tokenTypes]int64 {
	return [tokenTypes]int64{u.Prompt, u.Completion, u.CacheRead, u.CacheWrite, u.Reasoning}
}

func tokenType(i int) string {
	return [tokenTypes]string{"input", "output", "cached_input", "cache_write", "reasoning"}[i]
}

// add adds a usage to the counters of vec in to.
func (s *llmSeries) add(vec *prometheus.CounterVec, to *[tokenTypes]prometheus.Counter, u chat.Usage) {
	for i, n := range tokensOf(u) {
		if n <= 0 {
			continue
		}
		if to[i] == nil {
			to[i] = s.with(vec, tokenType(i))
		}
		to[i].Add(float64(n))
	}
}

// nanosPerDollar converts runtime.LLMAttempt.Cost.
const nanosPerDollar = 1e9

// countLLM accounts for an exchange of an LLM rule.
func (o *Observer) countLLM(rec *runtime.Record, s *series) {
	o.llmMu.Lock()
	defer o.llmMu.Unlock()
	if s.of == nil || s.of.gone {
		return
	}
	m := &o.metrics.llm
	last := llmKey{consumer: rec.Consumer, backend: rec.Backend}
	if rec.LLM != nil {
		for i := range rec.LLM.Attempts {
			last = o.countAttempt(rec, s.of, i)
		}
	}
	requests := o.llmOf(s.of, last)
	end := endingOfRequest(rec)
	requests.count(m.requests, &requests.requests, end)
	if rec.LLM != nil {
		m.limits.count(rec, s.of)
		m.genAI.request(rec, last.provider, last.model, end.kind)
	}
}

// countAttempt accounts for attempt i and returns its key.
func (o *Observer) countAttempt(rec *runtime.Record, r *routeMetrics, i int) llmKey {
	m, a := &o.metrics.llm, &rec.LLM.Attempts[i]
	left := i == len(rec.LLM.Attempts)-1 && rec.End.Err != nil
	end := endingOf(a, left)
	answered := a.Status >= 200 && a.Status <= 299
	key := llmKey{rec.Consumer, a.Backend, a.Provider, m.models.label(a.Model, a.Configured, answered)}
	s := o.llmOf(r, key)
	s.count(m.attempts, &s.attempts, end)
	if a.Counted {
		s.add(m.tokens, &s.tokens, a.Usage)
	}
	s.add(m.assumed, &s.assumed, a.Assumed)
	if a.Priced && a.Cost > 0 {
		if s.cost == nil {
			s.cost = s.with(m.cost)
		}
		s.cost.Add(float64(a.Cost) / nanosPerDollar)
	}
	m.genAI.attempt(rec.LLM, a, key.model, end.kind)
	return key
}

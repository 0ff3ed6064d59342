package runtime

import (
	"errors"
	"fmt"
	"math/bits"
	"path"
	"strings"
	"time"

	"github.com/citoroute/citoroute/internal/ai/chat"
	"github.com/citoroute/citoroute/internal/ir"
	"github.com/citoroute/citoroute/internal/proxy/balance"
	"github.com/citoroute/citoroute/internal/proxy/exchange"
	"github.com/citoroute/citoroute/internal/proxy/llm"
	"github.com/citoroute/citoroute/internal/proxy/trace"
	"github.com/citoroute/citoroute/internal/proxy/upstream"
)

// conversation is one request put to the backends of its rule, one after the
// other, until one answers.
type conversation struct {
	round

	// What goes with every conversation, in one piece of memory.
	record LLMRecord
	first  [1]LLMAttempt
	memory llm.Memory
}

// round is what is known of a conversation, and nothing of the next one.
type round struct {
	*state
	ex   *exchange.Exchange
	wild string // what the "*" in a model's name stands for
	left set    // targets that were not asked
	kept verdict
	last exchange.Response // what goes with kept
	now  time.Time         // when the attempt begins that comes next
}

// end gives the conversation back. Nothing of it may be used afterwards, nor any
// body that was part of it.
func (c *conversation) end(rt *Runtime) {
	if c != nil && c.memory.Keep() {
		c.round = round{}
		c.record = LLMRecord{}
		c.first = [1]LLMAttempt{}
		rt.talks.Put(c)
	}
}

// converse puts the call to the targets in serving.
func (st *state) converse(ex *exchange.Exchange, serving set, wild string) error {
	c := st.talk
	c.state, c.ex, c.wild, c.left, c.now = st, ex, wild, serving, st.Start.Add(st.rt.since(st.Start))
	if err := c.reserve(); err != nil {
		return err
	}
	st.rule.plan.budget.Earn()
	i, err := c.start()
	if err != nil {
		return err
	}
	for {
		c.left &^= 1 << i
		v := c.ask(i)
		if v.fault == "" && !v.passed {
			discard(&c.last)
			return v.err
		}
		c.keep(v)
		var more bool
		if i, more = c.another(&v); !more {
			return c.giveUp()
		}
	}
}

// start chooses the target that is asked first. Where none is open it is the
// one that will be first: what its provider says is better than a guess.
func (c *conversation) start() (int, error) {
	for rest := c.left; rest != 0; rest &= rest - 1 {
		if i := bits.TrailingZeros64(uint64(rest)); c.usable(i) == nil {
			c.left &^= 1 << i
		}
	}
	if c.left == 0 {
		return 0, c.rt.refuse.noAction
	}
	if i, ok := c.open(); ok {
		return i, nil
	}
	return c.soonest(c.left), nil
}

// next chooses the target that is asked after a failure. Where none is open it
// is the one that will be first, but none that has asked for a pause.
func (c *conversation) next() (int, bool) {
	if i, ok := c.open(); ok {
		return i, true
	}
	among := c.leftThat(func(s *balance.Standing, now time.Time) bool { return !s.Cooling(now) })
	if among == 0 {
		return 0, false
	}
	return c.soonest(among), true
}

// leftThat are the targets left that stand so.
func (c *conversation) leftThat(stand func(*balance.Standing, time.Time) bool) (out set) {
	for rest := c.left; rest != 0; rest &= rest - 1 {
		if i := bits.TrailingZeros64(uint64(rest)); stand(c.standing(i), c.now) {
			out |= 1 << i
		}
	}
	return out
}

// open chooses among the targets left that are open.
func (c *conversation) open() (int, bool) {
	return c.rule.plan.choose(c.left,
		func(i int) bool { return c.standing(i).Open(c.now) },
		func(i int) bool { return c.standing(i).Enter(c.now) })
}

func (c *conversation) soonest(among set) int {
	return soonest(among, func(i int) time.Time { return c.standing(i).FreeAt() })
}

// usable is the configuration of a target that can be asked, else nil.
func (c *conversation) usable(i int) *upstream.Config { return c.rule.targets[i].config() }

// config is the configuration of an LLM backend that can be asked, else nil.
func (t *target) config() *upstream.Config {
	if t.cluster == nil {
		return nil
	}
	config := t.cluster.Config()
	if config == nil || config.Err != nil || config.Backend.LLM == nil {
		return nil
	}
	return config
}

// standing is how a target has done lately with the model that it would be
// asked for; nil: well.
func (c *conversation) standing(i int) *balance.Standing {
	config := c.usable(i)
	if config == nil {
		return nil
	}
	return c.rule.targets[i].cluster.Standing(c.modelKey(i, config))
}

// model is what the provider of a target is asked for; "": what the client
// asked for.
func (c *conversation) model(i int, config *upstream.Config) string {
	if of := c.rule.ir.Backends[i].LLM; of != nil && of.Model != "" {
		return strings.Replace(of.Model, "*", c.wild, 1)
	}
	return config.Backend.LLM.Model
}

// wildcard says that the model that a target is asked for is in part the client's.
func (c *conversation) wildcard(i int) bool {
	of := c.rule.ir.Backends[i].LLM
	return of != nil && strings.Contains(of.Model, "*")
}

func (c *conversation) modelKey(i int, config *upstream.Config) string {
	if model := c.model(i, config); model != "" {
		return model
	}
	return c.call.Model
}

// verdict is how an attempt ended.
type verdict struct {
	// err is nil where the response is the provider's answer, or its error.
	err error
	// fault is the class of the failure; "": it was none, or none that another
	// backend could mend.
	fault ir.LLMFault
	// passed says that this target can not be asked this; nothing was sent.
	passed bool
	// sent says that the provider may have got the request.
	sent       bool
	retryAfter time.Duration
}

// ask puts the call to a target and notes how it went.
func (c *conversation) ask(i int) verdict {
	t, config := &c.rule.targets[i], c.usable(i)
	if config == nil {
		return verdict{err: c.rt.refuse.noAction, passed: true}
	}
	attempt, err := c.call.Prepare(&c.ex.Request, config, c.model(i, config))
	if err == nil && c.rule.ir.LLM.Faithful {
		err = attempt.Faithful()
	}
	if err != nil {
		e, ok := errors.AsType[*chat.Error](err)
		return verdict{err: err, passed: ok && (e.Code == chat.CodeUnsupported || e.Status >= 500)}
	}
	if s := c.rule.scribe; s != nil {
		attempt.PutDown(s)
		c.putDown = attempt
	}
	c.target, c.Series, c.Backend = t, t.series, t.cluster.Name()
	c.attempted, c.asked, c.triedTo = attempt, asked{t.cluster, c.modelKey(i, config), c.now}, 0
	c.LLM.Attempts = append(c.LLM.Attempts, LLMAttempt{})
	c.describe(c.note(), i, config)
	if c.Trace.Sampled {
		c.note().Span = trace.NewSpan(c.rt.opts.Rand)
		c.ex.Request.Header.Set(trace.Header, c.Trace.Field(c.note().Span))
	}
	return c.judge(c.exchange(config))
}

// describe fills in what is known of an attempt before it is made.
func (c *conversation) describe(note *LLMAttempt, i int, config *upstream.Config) {
	to := config.Backend.LLM
	note.Backend, note.Provider, note.Model = c.target.cluster.Name(), to.Provider, c.attempted.Wire.Model
	note.Configured = c.model(i, config) != "" && !c.wildcard(i)
	note.Host, note.TLS, note.Start = to.Host, config.Backend.TLS != nil, c.now
}

// exchange sends the prepared request and reads the answer up to its first content.
func (c *conversation) exchange(config *upstream.Config) error {
	f := &c.rule.ir.LLM.Failover
	head := config.Backend.LLM.Timeout
	c.idle = head
	if f.Idle > 0 {
		c.idle = f.Idle
	}
	var firstContent time.Time
	if c.call.Stream && f.FirstToken > 0 && len(c.LLM.Attempts) < c.rule.plan.attempts && c.leftThat((*balance.Standing).Open) != 0 {
		firstContent = c.asked.at.Add(f.FirstToken)
		if head == 0 || f.FirstToken < head {
			head = f.FirstToken
		}
	}
	c.deadline = time.Time{}
	if head > 0 {
		c.deadline = c.asked.at.Add(head)
	}
	if err := c.send(); err != nil {
		return err
	}
	c.note().Status = c.ex.Response.Status
	limiter, limited := c.ex.Response.Body.(exchange.ReadLimiter)
	if limited {
		limiter.LimitReads(c.idle, firstContent)
	}
	if err := c.read(); err != nil {
		return err
	}
	if !c.rule.ir.LLM.HideBackend {
		c.ex.Response.Header.Set("X-Llm-Backend", path.Base(c.Backend))
	}
	if c.attempted.Streams() {
		c.note().FirstContent = c.rt.opts.Now().Sub(c.asked.at)
		if limited {
			limiter.LimitReads(c.idle, time.Time{})
		}
	}
	return nil
}

// read reads the answer: a whole one into memory, a stream up to its first
// content.
func (c *conversation) read() error {
	resp := &c.ex.Response
	if c.metered = (meteredBody{}); resp.Body != nil {
		c.metered = meteredBody{Body: resp.Body, st: c.state, most: c.rt.memory.limit}
		resp.Body = &c.metered
	}
	err := c.attempted.Answer(resp, c.now, c.rt.opts.Now)
	c.metered.free = true // the rest of a stream goes on as it comes
	if c.metered.full {
		return fmt.Errorf("%w: %w", c.rt.refuse.full, errMemory)
	}
	return err
}

// send sends the prepared request. Another endpoint of the backend is tried
// where one can not be reached, and the same once more where the failure says
// nothing about the provider: the connection came from the pool and was closed
// by then, or it has another clock.
func (c *conversation) send() error {
	cluster, again := c.target.cluster, true
	for tries := 1; ; tries++ {
		c.lease.Done()
		used := cluster.ClockAhead()
		err := c.attempt(c.ex, cluster)
		failed, ok := errors.AsType[*exchange.Failure](err)
		switch {
		case ok && failed.Stage == exchange.StageConnect:
			if tries == connectTries || c.triedTo >= cluster.Endpoints().Len() {
				return err
			}
		case !again:
			return err
		case ok && failed.Reused && (failed.Stage == exchange.StageSend || failed.Stage == exchange.StageAwait),
			err == nil && c.resign(c.ex, cluster, used):
			again = false
		default:
			return err
		}
		discard(&c.ex.Response)
		c.ex.Request.Body.(*upstream.Replay).Rewind() //nolint:forcetypeassert // Prepare has made it.
	}
}

// judge finds what an attempt's end says about the provider.
func (c *conversation) judge(err error) verdict {
	cause := err
	if cause == nil {
		cause = c.attempted.Err()
	}
	c.note().Err = cause
	v := verdict{err: err, fault: faultOf(cause), retryAfter: c.attempted.RetryAfter()}
	v.sent = v.fault != ir.LLMFaultConnect
	if v.fault != "" {
		c.now = c.rt.opts.Now()
		c.asked.failed(v.fault, v.retryAfter, c.now)
	} else if c.note().Status != 0 {
		c.asked.cluster.Standing(c.asked.model).Admitted(c.asked.at)
	}
	return v
}

// faultOf returns the class of the failure err of a provider; "": it is none,
// or it is the client's.
func faultOf(err error) ir.LLMFault {
	if failed, ok := errors.AsType[*exchange.Failure](err); ok {
		switch failed.Stage {
		case exchange.StageClient:
			return ""
		case exchange.StageConnect:
			return ir.LLMFaultConnect
		case exchange.StageTimeout:
			return ir.LLMFaultTimeout
		default:
			return ir.LLMFaultServer
		}
	}
	if e, ok := errors.AsType[*chat.Error](err); ok {
		switch {
		case e.Status == 429:
			return ir.LLMFaultThrottled
		case e.Status == 504:
			return ir.LLMFaultTimeout
		case e.Status >= 500, e.Status == 424: // Bedrock's, for a model that failed
			return ir.LLMFaultServer
		}
		return ""
	}
	if err != nil && !errors.Is(err, errMemory) && !upstream.IsOurs(err) { // no endpoint
		return ir.LLMFaultConnect
	}
	return ""
}

// asked is what an attempt is about.
type asked struct {
	cluster *upstream.Cluster
	model   string
	at      time.Time
}

// failed notes a failure in the standing of the backend.
func (a *asked) failed(fault ir.LLMFault, retryAfter time.Duration, now time.Time) {
	switch fault {
	case "":
	case ir.LLMFaultThrottled:
		a.cluster.Troubled(a.model).Throttled(a.at, now, retryAfter)
	default:
		a.cluster.Troubled(a.model).Failed(a.at, now)
	}
}

// another chooses the target that is asked after one that ended so.
func (c *conversation) another(v *verdict) (int, bool) {
	p := c.rule.plan
	if !v.passed && (!p.failsOver(v.fault) || len(c.LLM.Attempts) >= p.attempts) {
		return 0, false
	}
	i, ok := c.next()
	return i, ok && (!v.sent || p.budget.Spend())
}

// keep keeps a failure, to be the answer where no other target does better: the
// last one, but of refusals for the rate the one that asks for the shortest
// pause, and nothing that was not even sent for something that was.
func (c *conversation) keep(v verdict) {
	c.settle(c.now)
	c.lease.Done()
	old := &c.kept
	sooner := v.fault != ir.LLMFaultThrottled || old.fault != v.fault || v.retryAfter < old.retryAfter
	if old.fault == "" || !v.passed && sooner {
		*old = v
		c.last, c.ex.Response = c.ex.Response, c.last
	}
	discard(&c.ex.Response)
}

// giveUp makes the kept failure the answer.
func (c *conversation) giveUp() error {
	c.ex.Response = c.last
	return c.kept.err
}

// note is that of the attempt that is under way.
func (st *state) note() *LLMAttempt { return &st.LLM.Attempts[len(st.LLM.Attempts)-1] }

// settle completes the note of the last attempt.
func (st *state) settle(now time.Time) {
	if len(st.LLM.Attempts) == 0 || st.attempted == nil {
		return
	}
	attempted, note := st.attempted, st.note()
	st.attempted = nil
	note.Usage, note.Counted = attempted.Usage()
	note.Assumed, note.Pace = attempted.Assumed(), attempted.Pace()
	if st.Trace.Sampled {
		note.Outcome = attempted.Outcome()
	}
	if note.Duration = now.Sub(note.Start); note.Err != nil {
		return
	}
	if note.Err = attempted.Err(); note.Err != nil {
		st.asked.failed(faultOf(note.Err), 0, now)
	} else if attempted.Whole() {
		st.asked.cluster.Standing(st.asked.model).Succeeded(st.asked.at)
	}
}

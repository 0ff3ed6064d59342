package runtime

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/citoroute/citoroute/internal/ir"
	"github.com/citoroute/citoroute/internal/proxy/exchange"
	"github.com/citoroute/citoroute/internal/proxy/router"
)

// Question is a request to explain.
type Question struct {
	Port uint16
	// TLS says that the request comes over TLS with ServerName as SNI.
	TLS        bool
	ServerName string
	Method     string // empty: GET
	Host       string
	// Target is path and query.
	Target string
	// Header holds name and value of each field.
	Header [][2]string
}

// Explanation is the way that a request takes, and why.
type Explanation struct {
	Listener string `json:"listener,omitempty"`
	Route    string `json:"route,omitempty"` // Kind/namespace/name
	Rule     string `json:"rule,omitempty"`  // name or index
	// Hostname is the one of the route that fits, "" where it takes every host.
	Hostname string `json:"hostname,omitempty"`
	// Match describes the alternative of the rule that fits.
	Match string `json:"match,omitempty"`
	// Limits describes what the caller may use, each of which must have room.
	Limits []string `json:"limits,omitempty"`
	// Filters describes what is done, in order.
	Filters []string `json:"filters,omitempty"`
	// Backends are the choices with their shares.
	Backends []BackendShare `json:"backends,omitempty"`
	// Status is the status that the proxy answers with by itself; 0 where a
	// backend answers.
	Status int `json:"status,omitempty"`
	// Why are the decisions in order, one sentence each; alternatives that
	// were passed over are named with the reason.
	Why []string `json:"why"`
}

// BackendShare is one choice among the backends of a rule.
type BackendShare struct {
	Backend string `json:"backend"`
	// Share is 0 to 1.
	Share     float64  `json:"share"`
	Endpoints []string `json:"endpoints,omitempty"`
	// When says, for an LLM backend, for which models it is asked, and after
	// which others.
	When string `json:"when,omitempty"`
	// Status is not 0 where the share is answered by the proxy.
	Status int `json:"status,omitempty"`
}

// maxPassedOver bounds how many alternatives an explanation names.
const maxPassedOver = 8

// Explain says which way a request would take through the current snapshot. It
// counts nothing and sends nothing.
func (rt *Runtime) Explain(q Question) Explanation {
	var e Explanation
	if err := rt.explain(q, &e); err != nil {
		status, text := statusOf(err)
		e.Status = status
		e.because("The proxy answers %d: %s.", status, text)
	}
	return e
}

func (e *Explanation) because(format string, args ...any) {
	e.Why = append(e.Why, fmt.Sprintf(format, args...))
}

func (rt *Runtime) explain(q Question, e *Explanation) error {
	req := q.request()
	clean, err := router.CleanPath(req.Path)
	if err != nil {
		return rt.refuse.badPath
	}
	if clean != req.Path {
		e.because("The path is read as %s, and forwarded so.", clean)
		req.Path = clean
	}
	h := &handler{rt: rt, port: q.Port, serverName: q.ServerName}
	l, err := h.listener(rt.snap.Load().ports[q.Port], req)
	if err != nil {
		e.listeners(rt.snap.Load().ports[q.Port])
		return err
	}
	e.Listener = l.ir.Name
	e.because("Listener %s is the most specific on port %d for host %q%s.", l.ir.Name, q.Port, req.Authority, hostnameOf(l.ir))
	leaf, hostname, passed := l.table.Explain(req)
	e.Hostname = hostname
	for i, p := range passed {
		if i == maxPassedOver {
			e.because("%d more matches were passed over.", len(passed)-i)
			break
		}
		e.because("Passed over %s rule %s (%s): %s.", p.Leaf.Route.Source, ruleName(p.Leaf), p.Leaf.Describe(), p.Reason)
	}
	if leaf == nil {
		return rt.refuse.noRoute
	}
	e.Route, e.Rule, e.Match = leaf.Route.Source.String(), ruleName(leaf), leaf.Describe()
	e.because("%s rule %s fits: %s.", e.Route, e.Rule, e.Match)
	if err := rt.explainRule(leaf.Value, l, e); err != nil {
		return err
	}
	if leaf.Value.isLLM() && slices.ContainsFunc(l.table.Others(req, leaf), isLLMLeaf) {
		e.because("Other LLM routes of the same path are asked where this one does not let the caller in or serve the model.")
	}
	return nil
}

func isLLMLeaf(l *router.Leaf[*rule]) bool { return l.Value.isLLM() }

// listeners says which hosts the listeners of a port are for.
func (e *Explanation) listeners(p *port) {
	if p == nil {
		return
	}
	var all []string
	for hostname, l := range p.hosts.All {
		all = append(all, fmt.Sprintf("Listener %s is for the host %s.", l.ir.Name, cmp.Or(hostname, "that no other is for")))
	}
	slices.Sort(all)
	e.Why = append(e.Why, all[:min(len(all), maxPassedOver)]...)
}

func (rt *Runtime) explainRule(r *rule, l *listener, e *Explanation) error {
	switch {
	case r.err != nil:
		e.because("The rule can not be run: %v.", r.err)
		return r.err
	case l.gate != nil && l.gate.auth == nil, r.gate != nil && r.gate.auth == nil:
		e.because("A policy can not be used as it is, so nobody may enter.")
		return rt.refuse.unauthorized
	}
	e.caller(r, l)
	for i := range r.ir.Filters {
		e.Filters = append(e.Filters, describeFilter(&r.ir.Filters[i]))
		if d := r.ir.Filters[i].Redirect; d != nil && r.ir.Direct == nil {
			e.Status = d.Status
			e.because("The rule redirects.")
			return nil
		}
	}
	if r.ir.Direct != nil {
		e.Status = r.ir.Direct.Status
		e.because("The rule answers %d by itself.", e.Status)
		return nil
	}
	var total float64
	for i := range r.ir.Backends {
		total += float64(r.ir.Backends[i].Weight)
	}
	if total == 0 {
		return rt.refuse.noAction
	}
	if r.isLLM() {
		return rt.explainLLM(r, l, e)
	}
	for i := range r.targets {
		e.Backends = append(e.Backends, share(&r.targets[i], float64(r.ir.Backends[i].Weight)/total))
	}
	return nil
}

// caller says who may send the request.
func (e *Explanation) caller(r *rule, l *listener) {
	keys := slices.ContainsFunc(r.consumers, func(c consumer) bool { return hasKeys(c) && l.gate.takesKeyOf(c) })
	tokens := l.gate != nil || r.gate != nil
	switch {
	case keys && tokens:
		e.because("The request needs a valid bearer token or an API key.")
	case keys:
		e.because("The request needs an API key.")
	case tokens:
		e.because("The request needs a valid bearer token.")
	}
	if len(r.consumers) == 0 {
		return
	}
	names := make([]string, 0, len(r.consumers))
	for _, c := range r.consumers {
		names = append(names, c.name)
	}
	e.because("Its caller must be one of: %s.", strings.Join(names, ", "))
}

func share(t *target, part float64) BackendShare {
	if t.status != nil {
		return BackendShare{Share: part, Status: t.status.status}
	}
	out := BackendShare{Backend: t.cluster.Name(), Share: part}
	for _, endpoint := range t.cluster.Endpoints().All() {
		out.Endpoints = append(out.Endpoints, endpoint.Addr)
	}
	switch config := t.cluster.Config(); {
	case config == nil || config.Err != nil:
		out.Status = 500
	case len(out.Endpoints) == 0:
		out.Status = 503
	}
	return out
}

// request makes the request that the question is about.
func (q *Question) request() *exchange.Request {
	path, query, hasQuery := strings.Cut(q.Target, "?")
	if path == "" {
		path = "/"
	}
	req := &exchange.Request{Method: q.Method, Scheme: "http", Authority: q.Host, Path: path, Query: query, HasQuery: hasQuery}
	if req.Method == "" {
		req.Method = "GET"
	}
	if q.TLS {
		req.Scheme = "https"
	}
	for _, f := range q.Header {
		if strings.EqualFold(f[0], "Host") {
			req.Authority = f[1]
			continue
		}
		req.Header.Add(f[0], f[1])
	}
	return req
}

func hostnameOf(l *ir.Listener) string {
	if l.Hostname == "" {
		return ", since it takes every host"
	}
	return " by its hostname " + l.Hostname
}

func ruleName(l *router.Leaf[*rule]) string {
	if name := l.Route.Rules[l.Rule].Name; name != "" {
		return name
	}
	return fmt.Sprint(l.Rule)
}

func describeFilter(f *ir.Filter) string {
	switch {
	case f.RequestHeaders != nil:
		return "changes request headers"
	case f.ResponseHeaders != nil:
		return "changes response headers"
	case f.Redirect != nil:
		return "redirects"
	case f.Rewrite != nil:
		return "rewrites host or path"
	case f.Mirror != nil:
		return "mirrors to " + f.Mirror.Backend
	case f.CORS != nil:
		return "answers and marks cross-origin requests"
	}
	return "unknown"
}

package router

import "strings"

// Hosts finds values by hostname: exact names before wildcards, longer
// wildcards before shorter ones, and the value of "" last. The zero value is
// empty. It is persistent: see [Hosts.Edit].
type Hosts[T any] struct {
	exact hashMap[T]
	// suffix is keyed by ".example.com" for "*.example.com".
	suffix hashMap[T]
	rest   T // of hostname ""
	hasAny bool
}

// Find calls try with the values whose hostname fits host, the most specific
// first, until it returns true. It says whether that happened. host may carry
// a port and a trailing dot and is compared without regard to case.
func (h *Hosts[T]) Find(host string, try func(T) bool) bool {
	if h.exact.size+h.suffix.size == 0 {
		return h.hasAny && try(h.rest)
	}
	name := canonicalHost(host)
	if v, ok := h.exact.get(name); ok && try(v) {
		return true
	}
	if h.suffix.size > 0 {
		for i := nextDot(name, 0); i > 0; i = nextDot(name, i+1) {
			if v, ok := h.suffix.get(name[i:]); ok && try(v) {
				return true
			}
		}
	}
	return h.hasAny && try(h.rest)
}

// All yields every hostname with its value, in no particular order.
func (h *Hosts[T]) All(yield func(hostname string, v T) bool) {
	for k, v := range h.exact.all {
		if !yield(k, v) {
			return
		}
	}
	for k, v := range h.suffix.all {
		if !yield("*"+k, v) {
			return
		}
	}
	if h.hasAny {
		yield("", h.rest)
	}
}

// HostsEdit is a Hosts being changed. It belongs to one goroutine.
type HostsEdit[T any] struct {
	base          Hosts[T]
	exact, suffix *mapEdit[T] // nil: unchanged
}

// Edit begins a change; h itself stays as it is.
func (h *Hosts[T]) Edit() *HostsEdit[T] { return &HostsEdit[T]{base: *h} }

// Get returns the value of exactly that hostname: "", a name or "*.suffix".
func (e *HostsEdit[T]) Get(hostname string) (T, bool) {
	if hostname == "" {
		return e.base.rest, e.base.hasAny
	}
	m, key := e.part(hostname)
	return m.get(key)
}

// Set puts v in the place of hostname.
func (e *HostsEdit[T]) Set(hostname string, v T) {
	if hostname == "" {
		e.base.rest, e.base.hasAny = v, true
		return
	}
	m, key := e.part(hostname)
	m.set(key, v)
}

// Delete removes hostname.
func (e *HostsEdit[T]) Delete(hostname string) {
	if hostname == "" {
		var none T
		e.base.rest, e.base.hasAny = none, false
		return
	}
	m, key := e.part(hostname)
	m.del(key)
}

// Done returns the changed Hosts. The edit must not be used afterwards.
func (e *HostsEdit[T]) Done() Hosts[T] {
	if e.exact != nil {
		e.base.exact = e.exact.done()
	}
	if e.suffix != nil {
		e.base.suffix = e.suffix.done()
	}
	return e.base
}

func (e *HostsEdit[T]) part(hostname string) (m *mapEdit[T], key string) {
	hostname = strings.ToLower(hostname)
	if suffix, ok := strings.CutPrefix(hostname, "*"); ok {
		if e.suffix == nil {
			e.suffix = e.base.suffix.edit()
		}
		return e.suffix, suffix
	}
	if e.exact == nil {
		e.exact = e.base.exact.edit()
	}
	return e.exact, hostname
}

// canonicalHost strips port and trailing dot and lowers the case. It allocates
// only where there are capital letters.
func canonicalHost(host string) string {
	port, capitals := -1, false
	for i := range len(host) {
		switch c := host[i]; {
		case c == ':':
			port = i
		case c == ']':
			port = -1 // the colons were those of an IPv6 address
		case 'A' <= c && c <= 'Z':
			capitals = true
		}
	}
	if port >= 0 {
		host = host[:port]
	}
	host = strings.TrimSuffix(host, ".")
	if capitals {
		return strings.ToLower(host)
	}
	return host
}

// nextDot returns the index of the first dot of s at or after from, or -1.
func nextDot(s string, from int) int {
	if i := strings.IndexByte(s[from:], '.'); i >= 0 {
		return from + i
	}
	return -1
}

// Package clientaddr finds who a client is behind load balancers and other
// proxies: from the header of the PROXY protocol that a connection begins with,
// and from X-Forwarded-For. It believes neither by itself: [Networks] says whom.
//
// It is pure: bytes and strings in, addresses out. It imports no net/http.
package clientaddr

package h2

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/citoroute/citoroute/internal/proxy/exchange"
)

const (
	// idleTimeout closes connections that carry nothing, and pingTimeout those
	// whose peer has silently gone.
	idleTimeout = 90 * time.Second
	pingTimeout = 15 * time.Second
	// maxResponseHeaderBytes is the most that a backend may send as a head.
	maxResponseHeaderBytes = 64 << 10
)

// Transport is an exchange.Transport for backends that speak HTTP/2: by prior
// knowledge where the target has no TLS, else as ALPN chooses.
type Transport struct {
	h1     exchange.Transport
	dialer Dial
	http   *http.Transport

	mu    sync.Mutex
	pools map[poolKey]*pool
}

// poolKey is what connections are shared by. The configuration is compared by
// identity: another one may trust other certificates.
type poolKey struct {
	addr string
	tls  *tls.Config
}

// Dial makes connections; ctx ends at the target's ConnectTimeout.
type Dial func(ctx context.Context, network, addr string) (net.Conn, error)

// NewTransport returns a Transport that connects with dial, nil meaning a
// net.Dialer, and hands exchanges to h1 where a backend chooses http/1.1 by ALPN.
func NewTransport(h1 exchange.Transport, dial Dial) *Transport {
	if dial == nil {
		dial = new(net.Dialer).DialContext
	}
	protocols := new(http.Protocols)
	protocols.SetHTTP2(true)
	protocols.SetUnencryptedHTTP2(true)
	given := func(ctx context.Context, _, _ string) (net.Conn, error) {
		conn, _ := ctx.Value(dialledKey{}).(net.Conn)
		return conn, nil
	}
	return &Transport{
		h1:     h1,
		dialer: dial,
		pools:  make(map[poolKey]*pool),
		http: &http.Transport{
			Protocols:              protocols,
			DialContext:            given,
			DialTLSContext:         given,
			DisableCompression:     true,
			IdleConnTimeout:        idleTimeout,
			MaxResponseHeaderBytes: maxResponseHeaderBytes,
			HTTP2: &http.HTTP2Config{
				SendPingTimeout:               pingTimeout,
				PingTimeout:                   pingTimeout,
				WriteByteTimeout:              idleTimeout,
				MaxReceiveBufferPerConnection: connectionWindow,
				MaxReceiveBufferPerStream:     streamWindow,
			},
		},
	}
}

// Close closes every connection. Exchanges in flight break off.
func (t *Transport) Close() {
	t.mu.Lock()
	pools := t.pools
	t.pools = make(map[poolKey]*pool)
	t.mu.Unlock()
	for _, p := range pools {
		p.close()
	}
}

// CloseIdle closes every connection that carries nothing. A request that is about
// to use one goes on another.
func (t *Transport) CloseIdle() {
	var idle []*connection
	t.mu.Lock()
	for _, p := range t.pools {
		idle = append(idle, p.idle()...)
	}
	t.mu.Unlock()
	for _, conn := range idle { // without the locks: it calls check
		_ = conn.Close()
	}
}

func (t *Transport) pool(to *exchange.Target) *pool {
	key := poolKey{to.Addr, to.TLS}
	t.mu.Lock()
	defer t.mu.Unlock()
	p := t.pools[key]
	if p == nil {
		p = newPool(t, key)
		t.pools[key] = p
	}
	return p
}

// forget drops a pool that has no connection left.
func (t *Transport) forget(p *pool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.conns) == 0 && p.dialling == nil && !p.http1 && t.pools[p.key] == p {
		delete(t.pools, p.key)
	}
}

// dialledKey carries a connection to http.Transport, which would rather dial
// itself.
type dialledKey struct{}

// dial connects to a pool's address. The connection is nil where the backend
// chose HTTP/1.1.
func (t *Transport) dial(ctx context.Context, key poolKey, config *tls.Config) (*connection, error) {
	raw, err := t.dialer(ctx, "tcp", key.addr)
	if err != nil {
		return nil, err
	}
	heard := &hearing{Conn: raw}
	scheme, conn := "http", net.Conn(heard)
	if config != nil {
		session := tls.Client(heard, config)
		if err := session.HandshakeContext(ctx); err != nil {
			_ = raw.Close()
			return nil, err
		}
		if session.ConnectionState().NegotiatedProtocol != http2Proto {
			_ = session.Close()
			return nil, nil
		}
		scheme, conn = "https", session
	}
	cc, err := t.http.NewClientConn(context.WithValue(context.WithoutCancel(ctx), dialledKey{}, conn), scheme, key.addr)
	if err != nil {
		_ = conn.Close()
		return nil, err
	}
	return &connection{cc, heard}, nil
}

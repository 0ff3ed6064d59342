package h1

import (
	"crypto/tls"
	"net"
	"time"

	"github.com/citoroute/citoroute/internal/proxy/exchange"
)

type serverConn struct{ link struct{ conn net.Conn } }

func newServerConn(*Server, net.Conn, ConnInfo) *serverConn { return nil }
func (*serverConn) release()                                {}
func (*serverConn) serve()                                  {}
func (*serverConn) wakeIdle()                               {}

type dateCache struct{}
type poolKey struct {
	addr string
	tls  *tls.Config
}
type pool struct{}

func (*pool) init(int, time.Duration) {}
func (*pool) closeIdle()              {}
func (*pool) retire(poolKey)          {}

func (*Transport) roundTrip(*exchange.Exchange, *exchange.Target) *exchange.Failure { return nil }

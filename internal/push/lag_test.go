package push

import (
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/citoroute/citoroute/internal/ir"
)

func TestServer_LagIsThatOfTheSlowestProxy(t *testing.T) {
	b := newBed(t, nil)
	var seconds atomic.Int64
	b.server.options.Now = func() time.Time { return time.Unix(seconds.Load(), 0) }
	b.update(ir.Update{Complete: true, Upserts: []ir.Resource{listener("l", 80)}})
	b.connect(newRecorder())
	until(t, b.changed, "the quick one serves", func() bool { return b.server.State(testNode).Serving })
	seconds.Store(10)
	if lag := b.server.Lag(); lag != 0 {
		t.Errorf("all have answered, and the lag is %v", lag)
	}

	slow := newRecorder()
	slow.hold = make(chan struct{})
	b.connect(slow)
	until(t, b.changed, "the slow one is there", func() bool { return b.server.State(testNode).Proxies == 2 })
	until(t, ticks(t), "it is sent something", func() bool { return waiting(b.server) })
	seconds.Store(17)
	if lag := b.server.Lag(); lag != 7*time.Second {
		t.Errorf("the lag is %v, want 7s", lag)
	}
	close(slow.hold)
	until(t, ticks(t), "it answers", func() bool { return b.server.Lag() == 0 })
}

// waiting says that a response is in flight.
func waiting(s *Server) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for st := range s.nodes[testNode].streams {
		if st.inFlight {
			return true
		}
	}
	return false
}

// ticks has until look again every few milliseconds.
func ticks(t *testing.T) <-chan struct{} {
	t.Helper()
	out, ticker := make(chan struct{}), time.NewTicker(5*time.Millisecond)
	go func() {
		defer ticker.Stop()
		for {
			select {
			case <-t.Context().Done():
				return
			case <-ticker.C:
			}
			select {
			case out <- struct{}{}:
			case <-t.Context().Done():
				return
			}
		}
	}()
	return out
}

func TestClient_TellsWhetherItIsConnected(t *testing.T) {
	b := newBed(t, nil)
	told := make(chan bool, 10)
	c := &Client{
		Node: testNode, Servers: []string{"passthrough:///controller"}, Sink: newRecorder(),
		Credentials: func() (credentials.TransportCredentials, error) { return insecure.NewCredentials(), nil },
		DialOptions: []grpc.DialOption{grpc.WithContextDialer(b.dial)},
		Connected:   func(up bool) { told <- up },
	}
	go func() { _ = c.Run(t.Context()) }()
	// It is not while the controller has nothing to say.
	until(t, b.changed, "the proxy is there", func() bool { return b.server.State(testNode).Proxies == 1 })
	b.update(ir.Update{Complete: true, Upserts: []ir.Resource{listener("l", 80)}})
	if up := <-told; !up {
		t.Error("a stream that came up was told as down")
	}
	b.stop()
	if up := <-told; up {
		t.Error("a stream that ended was told as up")
	}
	b.serve()
	for !<-told { // attempts that failed meanwhile
	}
}

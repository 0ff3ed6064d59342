package redis

import (
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/citoroute/citoroute/internal/ir"
	"github.com/citoroute/citoroute/internal/proxy/limit"
	"github.com/citoroute/citoroute/internal/proxy/limit/redis/redistest"
)

// patient is long enough for a machine that is busy with other tests.
const patient = 10 * time.Second

func open(t *testing.T, o Options) *Store {
	t.Helper()
	if o.Timeout == 0 {
		o.Timeout = patient
	}
	o.Prefix = "test"
	s := Open(o)
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func charge(w limit.Window, most, amount int64) []limit.Charge {
	return []limit.Charge{{Key: limit.Key{Limit: "l", Consumer: "c"}, Window: w, Most: most, Amount: amount}}
}

// Whatever happens, in whatever order, the counters of a server and those in
// memory say the same.
func TestStore_CountsAsMemoryDoes(t *testing.T) {
	programs(t, func(t *testing.T, program string) {
		countsAsMemoryDoes(t, redistest.StartProgram(t, program).Address)
	})
}

func countsAsMemoryDoes(t *testing.T, address string) {
	t.Helper()
	server := open(t, Options{Address: address})
	memory := limit.NewMemory()
	rng := rand.New(rand.NewPCG(5, 6))
	now := time.Now().Truncate(time.Second)
	keys := []limit.Key{{Limit: "a"}, {Limit: "b", Consumer: "ns/c"}, {Limit: "c", Consumer: "ns/c", Route: "ns/r"}}
	var open []limit.Change
	for range 3000 {
		now = now.Add(time.Duration(rng.Int64N(int64(20 * time.Second))))
		if rng.IntN(3) == 0 && len(open) > 0 {
			i := rng.IntN(len(open))
			change := open[i : i+1]
			change[0].Delta = rng.Int64N(400) - 200
			if change[0].Delta > 0 {
				change[0].Start = change[0].Window.At(now).Start
			}
			if err := errors.Join(server.Settle(change, now), memory.Settle(change, now)); err != nil {
				t.Fatal(err)
			}
			open = append(open[:i], open[i+1:]...)
			continue
		}
		var charges []limit.Charge
		for i, key := range keys[:1+rng.IntN(len(keys))] {
			charges = append(charges, limit.Charge{Key: key, Window: limit.Window(1 + i), Most: 1000, Amount: rng.Int64N(300)})
		}
		same := append([]limit.Charge{}, charges...)
		got, err := server.Reserve(charges, now)
		want, _ := memory.Reserve(same, now)
		for i := range charges { // what does not count need not be known
			if !charges[i].Window.Slides() {
				charges[i].Count.Previous, same[i].Count.Previous = 0, 0
			}
		}
		if diff := cmp.Diff(same, charges); err != nil || got != want || diff != "" {
			t.Fatalf("taken %v, in memory %v, %v (-memory +server):\n%s", got, want, err, diff)
		}
		if got {
			for _, c := range charges {
				open = append(open, limit.Change{Key: c.Key, Window: c.Window, Start: c.Start})
			}
		}
	}
}

// LM-031: replicas together let in no more than there is, and one that starts
// knows what was used before.
func TestLM031_Replicas(t *testing.T) {
	server := redistest.Start(t)
	replicas := []*Store{open(t, Options{Address: server.Address}), open(t, Options{Address: server.Address})}
	now := time.Now()
	var let atomic.Int64
	var all sync.WaitGroup
	for i := range 1000 {
		all.Go(func() {
			taken, err := replicas[i%2].Reserve(charge(limit.Month, 1007, 20), now)
			if err != nil {
				t.Error(err)
			}
			if taken {
				let.Add(1)
			}
		})
	}
	all.Wait()
	if let.Load() != 50 {
		t.Errorf("%d were let in, want 50", let.Load())
	}
	restarted := open(t, Options{Address: server.Address})
	if taken, err := restarted.Reserve(charge(limit.Month, 1007, 8), now); taken || err != nil {
		t.Errorf("after a restart one more was let in: %v", err)
	}
	if taken, err := restarted.Reserve(charge(limit.Month, 1007, 7), now); !taken || err != nil {
		t.Errorf("what was left is lost: %v", err)
	}
}

func TestStore_LossAndRecovery(t *testing.T) {
	server := redistest.Start(t)
	s := open(t, Options{Address: server.Address})
	now := time.Now()
	if taken, err := s.Reserve(charge(limit.Day, 5, 1), now); !taken || err != nil {
		t.Fatal(err)
	}
	server.Stop()
	for i := range maxFailures {
		if _, err := s.Reserve(charge(limit.Day, 5, 1), now); err == nil || errors.Is(err, ErrDown) {
			t.Fatalf("failure %d: %v", i, err)
		}
	}
	if _, err := s.Reserve(charge(limit.Day, 5, 1), now.Add(pause-1)); !errors.Is(err, ErrDown) {
		t.Errorf("it was asked while it is down: %v", err)
	}
	server.Run()
	now = now.Add(pause)
	if taken, err := s.Reserve(charge(limit.Day, 5, 1), now); !taken || err != nil {
		t.Errorf("it is back: %v", err)
	}
	if taken, err := s.Reserve(charge(limit.Day, 5, 5), now); taken || err != nil {
		t.Errorf("%v, %v", taken, err)
	}
}

// A server that takes connections and says nothing costs no more than the timeout.
func TestStore_SilentServer(t *testing.T) {
	server := redistest.Start(t)
	admin := open(t, Options{Address: server.Address})
	if err := admin.client.Do(t.Context(), "CLIENT", "PAUSE", 5000).Err(); err != nil {
		t.Fatal(err)
	}
	s := open(t, Options{Address: server.Address, Timeout: DefaultTimeout})
	begin := time.Now()
	if _, err := s.Reserve(charge(limit.Day, 5, 1), begin); err == nil {
		t.Error("a silent server has let a request in")
	}
	if took := time.Since(begin); took > 2*time.Second {
		t.Errorf("it took %v", took)
	}
}

func TestServers(t *testing.T) {
	server := redistest.Start(t, "--requirepass", "secret")
	var servers Servers
	r := &ir.Redis{Address: server.Address, Prefix: "p"}
	secret := &ir.Secret{Values: map[string]ir.Bytes{"password": ir.Bytes("secret\n")}}
	good, again, bad := servers.Open(r, secret), servers.Open(r, secret), servers.Open(r, nil)
	if good != again || good == bad {
		t.Error("a server has a store for each way to reach it, and no more")
	}
	good.timeout, bad.timeout = patient, patient
	var taken bool
	var err error
	for i := range 100 { // a busy machine may not connect in the time that there is for it
		if taken, err = good.Reserve(charge(limit.Day, 5, 1), time.Now().Add(time.Duration(i)*pause)); err == nil {
			break
		}
	}
	if !taken || err != nil {
		t.Errorf("with the password: %v", err)
	}
	if _, err := bad.Reserve(charge(limit.Day, 5, 1), time.Now()); err == nil {
		t.Error("without the password it is open")
	}
}

func TestBreaker(t *testing.T) {
	var b breaker
	now := time.Unix(1_800_000_000, 0)
	failed := errors.New("failed")
	for range maxFailures - 1 {
		b.done(failed, now)
	}
	if b.done(nil, now); !b.allow(now) {
		t.Error("failures are not in a row")
	}
	for range maxFailures {
		b.done(failed, now)
	}
	if b.allow(now) {
		t.Error("it is down and is asked")
	}
	now = now.Add(pause)
	if !b.allow(now) || b.allow(now) {
		t.Error("one request a second asks")
	}
	if b.done(nil, now); !b.allow(now) {
		t.Error("it is back")
	}
}

func BenchmarkReserveAndSettle(b *testing.B) {
	s := Open(Options{Address: redistest.Start(b).Address, Prefix: "bench", Timeout: patient})
	b.Cleanup(func() { _ = s.Close() })
	now := time.Now()
	for b.Loop() {
		c := charge(limit.Minute, 1<<50, 100)
		if _, err := s.Reserve(c, now); err != nil {
			b.Fatal(err)
		}
		if err := s.Settle([]limit.Change{{Key: c[0].Key, Window: limit.Minute, Start: c[0].Start, Delta: -50}}, now); err != nil {
			b.Fatal(err)
		}
	}
}

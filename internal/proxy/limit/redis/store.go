package redis

import (
	"context"
	"crypto/tls"
	_ "embed" // the scripts
	"errors"
	"fmt"
	"strconv"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/citoroute/citoroute/internal/proxy/limit"
)

// DefaultTimeout is how long a request waits for the server.
const DefaultTimeout = 50 * time.Millisecond

// Options say how a server is reached.
type Options struct {
	Address string // host:port
	// TLS is nil for a connection that is not encrypted.
	TLS                *tls.Config
	Username, Password string
	// Prefix begins the name of every key.
	Prefix string
	// Timeout limits each call; DefaultTimeout where 0.
	Timeout time.Duration
}

// Store is a [limit.Store].
type Store struct {
	client  *goredis.Client
	reserve *goredis.Script
	settle  *goredis.Script
	prefix  string
	timeout time.Duration
	breaker breaker
}

var _ limit.Store = (*Store)(nil)

// Open returns a store. It connects when it is first used. The client's library
// has one logger for the process, which writes to standard error what is an
// error of a call as well: it is silenced.
func Open(o Options) *Store {
	logging.Disable()
	if o.Timeout == 0 {
		o.Timeout = DefaultTimeout
	}
	return &Store{
		prefix:  "{" + o.Prefix + "}",
		timeout: o.Timeout,
		reserve: goredis.NewScript(reserveLua),
		settle:  goredis.NewScript(settleLua),
		client: goredis.NewClient(&goredis.Options{
			Addr: o.Address, TLSConfig: o.TLS, Username: o.Username, Password: o.Password,
			DialTimeout: o.Timeout, ReadTimeout: o.Timeout, WriteTimeout: o.Timeout, PoolTimeout: o.Timeout,
			ContextTimeoutEnabled: true,
			// A reservation that is sent again may be taken twice.
			MaxRetries: -1, DialerRetries: 1,
			Protocol: 2, DisableIdentity: true,
			MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
		}),
	}
}

// Close ends the connections. Nothing may be counted afterwards.
func (s *Store) Close() error { return s.client.Close() }

//go:embed reserve.lua
var reserveLua string

//go:embed settle.lua
var settleLua string

// ErrDown says that the server has not been asked, because it did not answer
// others before.
var ErrDown = errors.New("the server of limits did not answer; it is asked again in a moment")

// Reserve implements [limit.Store].
func (s *Store) Reserve(charges []limit.Charge, now time.Time) (taken bool, err error) {
	keys, args := make([]string, 0, 2*len(charges)), make([]any, 0, 5*len(charges))
	for i := range charges {
		c := &charges[i]
		span := c.Window.At(now)
		before, left, length := span, time.Duration(0), time.Second
		if c.Window.Slides() {
			length = time.Duration(span.End-span.Start) * time.Second
			before.Start, left = span.Start-(span.End-span.Start), time.Unix(span.End, 0).Sub(now)
		}
		keys = append(keys, s.key(c.Key, span.Start), s.key(c.Key, before.Start))
		args = append(args, c.Amount, c.Most, left.Microseconds(), length.Microseconds(), keep(c.Window, span.Start, now))
		c.Start = span.Start
	}
	out, err := s.run(s.reserve, keys, args, now)
	if err != nil {
		return false, err
	}
	numbers, err := integers(out, 1+2*len(charges))
	if err != nil {
		return false, err
	}
	taken = numbers[0] == 1
	for i := range charges {
		c := &charges[i]
		c.Count = limit.Count{Current: numbers[1+2*i], Previous: numbers[2+2*i]}
		if taken {
			c.Count.Current += c.Amount
		}
	}
	return taken, nil
}

// Settle implements [limit.Store].
func (s *Store) Settle(changes []limit.Change, now time.Time) error {
	keys, args := make([]string, 0, len(changes)), make([]any, 0, 2*len(changes))
	for i := range changes {
		c := &changes[i]
		if seconds := keep(c.Window, c.Start, now); seconds > 0 {
			keys, args = append(keys, s.key(c.Key, c.Start)), append(args, c.Delta, seconds)
		}
	}
	if len(keys) == 0 {
		return nil
	}
	_, err := s.run(s.settle, keys, args, now)
	return err
}

// run runs a script, unless the server is known to be down.
func (s *Store) run(script *goredis.Script, keys []string, args []any, now time.Time) (any, error) {
	if !s.breaker.allow(now) {
		return nil, ErrDown
	}
	ctx, cancel := context.WithTimeout(context.Background(), s.timeout)
	defer cancel()
	out, err := script.Run(ctx, s.client, keys, args...).Result()
	s.breaker.done(err, now)
	if err != nil {
		return nil, fmt.Errorf("limits at %s: %w", s.client.Options().Addr, err)
	}
	return out, nil
}

// key names the counter of one window. The names in it have no space.
func (s *Store) key(k limit.Key, start int64) string {
	return s.prefix + k.Limit + " " + k.Consumer + " " + k.Route + " " + strconv.FormatInt(start, 10)
}

// keep is how many seconds the counter of a window is needed from now on; not
// more than 0 where it counts no more.
func keep(w limit.Window, start int64, now time.Time) int64 {
	span := w.At(time.Unix(start, 0))
	end := span.End
	if w.Slides() {
		end += span.End - span.Start
	}
	return end - now.Unix()
}

func integers(reply any, n int) ([]int64, error) {
	list, _ := reply.([]any)
	out := make([]int64, 0, n)
	for _, v := range list {
		if i, ok := v.(int64); ok {
			out = append(out, i)
		}
	}
	if len(out) != n {
		return nil, fmt.Errorf("limits: the server answered %d numbers, not %d", len(out), n)
	}
	return out, nil
}

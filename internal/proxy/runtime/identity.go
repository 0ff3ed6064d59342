package runtime

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/citoroute/citoroute/internal/proxy/awsauth"
	"github.com/citoroute/citoroute/internal/proxy/exchange"
	"github.com/citoroute/citoroute/internal/proxy/upstream"
)

// identityWait is how long a request waits for the first credentials of a
// backend that has just come.
const identityWait = 5 * time.Second

// authenticate puts the credential of an LLM provider on the request, and does
// nothing for other backends. Every attempt has its own: a signature is for one.
func (st *state) authenticate(ex *exchange.Exchange, c *upstream.Cluster) error {
	if st.attempted == nil {
		return nil
	}
	if !st.attempted.For(st.lease.Config) {
		return st.rt.refuse.moved
	}
	if id := st.lease.Config.Identity; id != nil {
		st.await(ex, id.Settled())
	}
	return st.attempted.Authenticate(&ex.Request, &st.rt.signer, func() time.Time { return st.rt.opts.Now().Add(c.ClockAhead()) })
}

// await waits until ready is closed, the time is up or the client leaves.
func (st *state) await(ex *exchange.Exchange, ready <-chan struct{}) {
	select {
	case <-ready:
		return
	default:
	}
	ctx, cancel := context.WithTimeout(context.Background(), identityWait)
	defer cancel()
	if ex.Client != nil {
		defer ex.Client.OnCancel(cancel)()
	}
	select {
	case <-ready:
	case <-ctx.Done():
	}
}

// resign says that the provider refused the signature because its clock is
// another, so that the request is to be sent once more. What was found is kept:
// the next request is right at once. used is how far the clock was thought to be
// ahead.
func (st *state) resign(ex *exchange.Exchange, c *upstream.Cluster, used time.Duration) bool {
	more, ok := st.attempted.Skew(&ex.Response)
	if ok {
		c.AdjustClock(used, more)
	}
	return ok
}

// noIdentities is the credential store of a Runtime that was given none.
func noIdentities(random func() uint64) *awsauth.Store {
	return awsauth.NewStore(awsauth.Options{
		Fetch: func(context.Context, awsauth.Identity) (awsauth.Credentials, error) {
			return awsauth.Credentials{}, errors.New("this proxy has no AWS identity")
		},
		Rand: random,
		Log:  slog.New(slog.DiscardHandler),
	})
}

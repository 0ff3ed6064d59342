package awsauth

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/citoroute/citoroute/internal/ir"
)

// service is a source of credentials that can be told what to answer.
type service struct {
	mu       sync.Mutex
	lifetime time.Duration // 0: the credentials never expire
	takes    time.Duration // how long an answer takes
	err      error
	fetches  int
	inFlight int
	most     int // fetches at once
}

func (s *service) fetch(ctx context.Context, _ Identity) (Credentials, error) {
	s.mu.Lock()
	s.fetches++
	s.inFlight++
	s.most = max(s.most, s.inFlight)
	takes := s.takes
	s.mu.Unlock()
	select {
	case <-time.After(takes): // the clock of the synctest bubble
	case <-ctx.Done():
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.inFlight--
	if err := errors.Join(s.err, ctx.Err()); err != nil {
		return Credentials{}, err
	}
	c := Credentials{AccessKeyID: fmt.Sprint("AKID", s.fetches), SecretAccessKey: "secret"}
	if s.lifetime != 0 {
		c.Expires = time.Now().Add(s.lifetime)
	}
	return c, nil
}

func (s *service) set(f func(*service)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f(s)
}

func (s *service) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.fetches
}

func newStore(s *service, log *strings.Builder) *Store {
	handler := slog.DiscardHandler
	if log != nil {
		handler = slog.NewTextHandler(log, nil)
	}
	return NewStore(Options{Fetch: s.fetch, Rand: func() uint64 { return 7 }, Log: slog.New(handler)})
}

// use runs f with the credentials of one backend, on a clock of its own.
func use(t *testing.T, s *service, f func(*Source)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		source, release := newStore(s, nil).Use("llm/ns/claude", Identity{Region: "us-east-1"})
		defer release()
		synctest.Wait()
		f(source)
	})
}

func pass(d time.Duration) {
	time.Sleep(d) // the clock of the synctest bubble
	synctest.Wait()
}

func TestT82_RenewsBeforeExpiryWithoutAGap(t *testing.T) {
	for name, lifetime := range map[string]time.Duration{"FifteenMinutes": 15 * time.Minute, "Hour": time.Hour, "TwelveHours": 12 * time.Hour, "FiveSeconds": 5 * time.Second} {
		t.Run(name, func(t *testing.T) {
			s := &service{lifetime: lifetime, takes: min(lifetime/20, fetchTimeout/2)}
			use(t, s, func(source *Source) {
				<-source.Settled()
				for range 2_000 {
					if _, err := source.Credentials(time.Now()); err != nil {
						t.Fatalf("after %d fetches: %v", s.count(), err)
					}
					pass(lifetime / 200)
				}
				if s.most != 1 {
					t.Errorf("%d fetches at once", s.most)
				}
				if n := s.count(); n < 11 {
					t.Errorf("%d fetches in ten lifetimes", n)
				}
			})
		})
	}
}

func TestSource_KeepsWhatIsValidWhileTheSourceIsAway(t *testing.T) {
	s := &service{lifetime: time.Hour}
	use(t, s, func(source *Source) {
		s.set(func(s *service) { s.err = errors.New("away") })
		pass(59 * time.Minute)
		if c, err := source.Credentials(time.Now()); err != nil || c.AccessKeyID != "AKID1" {
			t.Errorf("%v, %v", c.AccessKeyID, err)
		}
		pass(time.Minute)
		if _, err := source.Credentials(time.Now()); !errors.Is(err, ErrNone) {
			t.Errorf("credentials that have expired are handed out: %v", err)
		}
		if n := s.count(); n < 10 || n > 60 {
			t.Errorf("%d fetches while the source was away for 20 minutes", n)
		}
		s.set(func(s *service) { s.err = nil })
		pass(2 * maxBackoff)
		if _, err := source.Credentials(time.Now()); err != nil {
			t.Errorf("no credentials once the source is back: %v", err)
		}
	})
}

func TestSource_ASlowSourceIsGivenUp(t *testing.T) {
	s := &service{takes: time.Hour}
	use(t, s, func(source *Source) {
		select {
		case <-source.Settled():
			t.Fatal("the first fetch has ended at once")
		default:
		}
		pass(fetchTimeout)
		<-source.Settled()
		if _, err := source.Credentials(time.Now()); !errors.Is(err, ErrNone) {
			t.Error(err)
		}
	})
}

func TestSource_AsksAgainWhenRefused(t *testing.T) {
	s := &service{lifetime: 12 * time.Hour}
	use(t, s, func(source *Source) {
		for range 1_000 {
			source.Refused()
		}
		if c, err := source.Credentials(time.Now()); err != nil || c.AccessKeyID != "AKID1" {
			t.Errorf("%v while others are asked for", err)
		}
		pass(minWait)
		if c, err := source.Credentials(time.Now()); err != nil || c.AccessKeyID != "AKID2" {
			t.Errorf("%s, %v", c.AccessKeyID, err)
		}
		pass(time.Minute)
		if n := s.count(); n != 2 {
			t.Errorf("%d fetches, want one more", n)
		}
	})
}

func TestSource_RefusesWhatItCanNotUse(t *testing.T) {
	for name, c := range map[string]Credentials{
		"Empty":   {},
		"Half":    {AccessKeyID: "a"},
		"Expired": {AccessKeyID: "a", SecretAccessKey: "b", Expires: time.Unix(1, 0)},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var log strings.Builder
				store := newStore(&service{}, &log)
				store.opts.Fetch = func(context.Context, Identity) (Credentials, error) { return c, nil }
				source, release := store.Use("llm/ns/claude", Identity{})
				synctest.Wait()
				if _, err := source.Credentials(time.Now()); err == nil {
					t.Error("they are handed out")
				}
				release()
				synctest.Wait()
				if !strings.Contains(log.String(), "llm/ns/claude") {
					t.Errorf("the log does not name the backend: %s", &log)
				}
			})
		})
	}
}

func TestStore_FetchesOncePerIdentityAndStopsWithItsLastUser(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &service{lifetime: time.Hour}
		store := newStore(s, nil)
		role := func() *ir.AWSRole {
			return &ir.AWSRole{ARN: "r", SessionName: "s", SessionTags: map[string]string{"a": "1", "b": "2"}}
		}
		one, releaseOne := store.Use("llm/ns/one", Identity{Region: "eu-west-1", Role: role()})
		two, releaseTwo := store.Use("llm/ns/two", Identity{Region: "eu-west-1", Role: role()})
		other, releaseOther := store.Use("llm/ns/two", Identity{Region: "eu-west-1"})
		if one != two || one == other {
			t.Error("an identity is fetched once for each backend, or for several identities")
		}
		if names := store.backends(one); names != "llm/ns/one, llm/ns/two" {
			t.Error(names)
		}
		releaseOther()
		releaseOne()
		releaseOne()
		synctest.Wait()
		before := s.count()
		pass(time.Hour)
		if s.count() == before {
			t.Error("nothing is renewed while there is a user")
		}
		_, releaseOld := store.Use("llm/ns/two", Identity{Region: "eu-west-1", Role: role()}) // two configurations of one backend
		releaseTwo()
		before = s.count()
		pass(time.Hour)
		if s.count() == before {
			t.Error("nothing is renewed while there is another user of that name")
		}
		releaseOld()
		before = s.count()
		pass(12 * time.Hour)
		if s.count() != before || len(store.sources) != 0 {
			t.Error("credentials are fetched that nobody uses")
		}
	})
}

func TestCredentials_PrintNothing(t *testing.T) {
	c := Credentials{AccessKeyID: "AKID", SecretAccessKey: "secret"}
	for _, text := range []string{fmt.Sprint(c), fmt.Sprintf("%+v %q %#v", c, c, &c), fmt.Sprintf("%v", Identity{Key: c})} {
		if strings.Contains(text, "AKID") || strings.Contains(text, "secret") {
			t.Error(text)
		}
	}
}

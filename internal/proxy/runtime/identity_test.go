package runtime

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/citoroute/citoroute/internal/ir"
	"github.com/citoroute/citoroute/internal/proxy/awsauth"
	"github.com/citoroute/citoroute/internal/proxy/exchange"
	"github.com/citoroute/citoroute/internal/proxy/upstream"
)

const converse = `{"output":{"message":{"role":"assistant","content":[{"text":"hi"}]}},"stopReason":"end_turn","usage":{"inputTokens":3,"outputTokens":1,"totalTokens":4}}`

// bedrockOn is a Bedrock backend that is asked with the proxy's own identity,
// on a route at a path of its own.
func bedrockOn(name, path string) []ir.Resource {
	rule := ir.Rule{Matches: prefix(path), LLM: &ir.LLMAction{}, Backends: to(name)}
	return []ir.Resource{
		&ir.Backend{Name: name, Protocol: ir.ProtocolHTTP, Endpoints: name, LLM: &ir.LLMProvider{
			Provider: "bedrock", Model: "anthropic.claude", Host: name + ".example", Region: "us-east-1",
		}},
		&ir.Endpoints{Name: name, Addresses: []ir.Endpoint{{Host: "10.0.0.7", Port: 443}}},
		routeOf(name, rule),
	}
}

func bedrockAnswer(status int, errorType, body string, date time.Time) func(*exchange.Exchange, *exchange.Target) error {
	return func(ex *exchange.Exchange, _ *exchange.Target) error {
		ex.Response.Status = status
		ex.Response.Header.Add("Content-Type", "application/json")
		ex.Response.Header.Add("Date", date.UTC().Format(http.TimeFormat))
		if errorType != "" {
			ex.Response.Header.Add("X-Amzn-Errortype", errorType)
		}
		ex.Response.Body, ex.Response.ContentLength = upstream.NewBody([]byte(body)), int64(len(body))
		return nil
	}
}

func askOn(path string) *exchange.Exchange {
	return withBody(request80("POST "+path), `{"model":"m","messages":[{"role":"user","content":"hello"}]}`)
}

// newIdentityFixture is newFixture with credentials from fetch.
func newIdentityFixture(t *testing.T, fetch func(context.Context, awsauth.Identity) (awsauth.Credentials, error), resources ...ir.Resource) *fixture {
	t.Helper()
	f := &fixture{t: t, to: &transport{}}
	store := awsauth.NewStore(awsauth.Options{Fetch: fetch, Rand: func() uint64 { return 1 }, Log: slog.New(slog.DiscardHandler)})
	f.Runtime = New(Options{HTTP1: f.to, HTTP2: f.to, Observer: f, AWS: store})
	f.apply(ir.Update{Complete: true, Upserts: append(resources, &ir.Listener{Name: "gw/http", Port: 80, Protocol: ir.ProtocolHTTP})})
	t.Cleanup(func() { f.apply(ir.Update{Complete: true}) }) // ends what renews
	return f
}

func fixedKey(context.Context, awsauth.Identity) (awsauth.Credentials, error) {
	return awsauth.Credentials{AccessKeyID: "AKID", SecretAccessKey: "secret", SessionToken: "token"}, nil
}

func TestIdentity_SignsWithTheFirstCredentials(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := func(ctx context.Context, id awsauth.Identity) (awsauth.Credentials, error) {
			<-time.After(3 * time.Second)
			return fixedKey(ctx, id)
		}
		f := newIdentityFixture(t, slow, bedrockOn("bedrock", "/b")...)
		f.to.answer = bedrockAnswer(200, "", converse, time.Now())
		ex := askOn("/b")
		began := time.Now()
		f.serve(f.Handler(80, ""), ex)
		f.wantStatus(ex, 200)
		if waited := time.Since(began); waited != 3*time.Second {
			t.Errorf("the first request waited %s for credentials that took 3s", waited)
		}
		if v, _ := f.to.last.Header.Get("Authorization"); !strings.Contains(v, "Credential=AKID/") || !f.to.last.Header.Has("X-Amz-Security-Token") {
			t.Errorf("signed %q", v)
		}
		began = time.Now()
		f.serve(f.Handler(80, ""), askOn("/b"))
		if time.Since(began) != 0 {
			t.Error("a later request waits")
		}
	})
}

func TestIdentity_WithoutCredentialsOnlyItsBackendFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		none := func(context.Context, awsauth.Identity) (awsauth.Credentials, error) {
			return awsauth.Credentials{}, errors.New("AccessDenied")
		}
		resources := append(bedrockOn("bedrock", "/b"), backend("plain", "10.0.0.1")...)
		f := newIdentityFixture(t, none, append(resources, routeOf("plain", ir.Rule{Matches: prefix("/plain"), Backends: to("plain")}))...)
		f.wantStatus(f.get("/plain"), 200)
		ex := askOn("/b")
		began := time.Now()
		f.Handler(80, "").Serve(ex)
		got := text(ex)
		if ex.Response.Status != 503 || !strings.Contains(got, `"code":"upstream_auth"`) || strings.Contains(got, "AccessDenied") {
			t.Errorf("%d %s", ex.Response.Status, got)
		}
		if time.Since(began) != 0 || len(f.to.seen) != 1 {
			t.Errorf("waited %s, sent to %v", time.Since(began), f.to.seen)
		}
	})
}

func TestIdentity_WithoutCredentialsAnotherBackendAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		none := func(context.Context, awsauth.Identity) (awsauth.Credentials, error) {
			return awsauth.Credentials{}, errors.New("AccessDenied")
		}
		resources := append(bedrockOn("bedrock", "/b"),
			&ir.Backend{Name: "llm", Endpoints: "bedrock", LLM: &ir.LLMProvider{Provider: "openai", Host: "h"}},
			routeOf("both", ir.Rule{Matches: prefix("/both"), LLM: &ir.LLMAction{}, Backends: to("bedrock", "llm")}))
		f := newIdentityFixture(t, none, resources...)
		f.to.answer = answerUnary
		for range 20 {
			ex := askOn("/both")
			f.serve(f.Handler(80, ""), ex)
			f.wantStatus(ex, 200)
		}
	})
}

func TestIdentity_ASlowSourceDoesNotHoldARequestForLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		never := func(ctx context.Context, _ awsauth.Identity) (awsauth.Credentials, error) {
			<-ctx.Done()
			return awsauth.Credentials{}, ctx.Err()
		}
		f := newIdentityFixture(t, never, bedrockOn("bedrock", "/b")...)
		ex := askOn("/b")
		began := time.Now()
		f.serve(f.Handler(80, ""), ex)
		f.wantStatus(ex, 503)
		if waited := time.Since(began); waited != identityWait {
			t.Errorf("waited %s", waited)
		}
	})
}

func TestIdentity_OthersAreAskedForWhenTheseAreRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		fetches := 0
		count := func(ctx context.Context, id awsauth.Identity) (awsauth.Credentials, error) {
			mu.Lock()
			defer mu.Unlock()
			fetches++
			return fixedKey(ctx, id)
		}
		f := newIdentityFixture(t, count, bedrockOn("bedrock", "/b")...)
		f.to.answer = bedrockAnswer(403, "ExpiredTokenException", `{"message":"The security token included in the request is expired"}`, time.Now())
		ex := askOn("/b")
		f.serve(f.Handler(80, ""), ex)
		f.wantStatus(ex, 502)
		<-time.After(time.Minute)
		mu.Lock()
		defer mu.Unlock()
		if fetches != 2 {
			t.Errorf("%d fetches, want 2", fetches)
		}
	})
}

// TestLM029_ClockSkewIsRetriedOnce: AWS tells its time with the refusal.
func TestLM029_ClockSkewIsRetriedOnce(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	for name, test := range map[string]struct {
		errorType string
		ahead     time.Duration // AWS's clock
		mends     bool          // what is signed by AWS's clock is accepted
		sent      int
		status    int
	}{
		"Ahead":        {"InvalidSignatureException:http://internal.amazon.com/coral/", 10 * time.Minute, true, 2, 200},
		"Behind":       {"com.amazon.coral.service#RequestTimeTooSkewed", -time.Hour, true, 2, 200},
		"Expired":      {"RequestExpired", 5 * time.Minute, true, 2, 200},
		"StillRefused": {"InvalidSignatureException", 10 * time.Minute, false, 2, 502},
		"WrongKey":     {"InvalidSignatureException", 2 * time.Second, true, 1, 502},
		"Other":        {"AccessDeniedException", time.Hour, true, 1, 403},
	} {
		t.Run(name, func(t *testing.T) {
			f := newIdentityFixture(t, fixedKey, bedrockOn("bedrock", "/b")...)
			setClock(f.Runtime, func() time.Time { return now })
			var dates []string
			f.to.answer = func(ex *exchange.Exchange, to *exchange.Target) error {
				date, _ := ex.Request.Header.Get("X-Amz-Date")
				dates = append(dates, date)
				signed, err := time.Parse("20060102T150405Z", date)
				if n := count(ex, "Authorization"); n != 1 || err != nil {
					t.Errorf("%d signatures, date %v", n, err)
				}
				if test.mends && signed.Equal(now.Add(test.ahead)) {
					return bedrockAnswer(200, "", converse, now.Add(test.ahead))(ex, to)
				}
				return bedrockAnswer(403, test.errorType, `{"message":"Signature expired"}`, now.Add(test.ahead))(ex, to)
			}
			ex := askOn("/b")
			f.serve(f.Handler(80, ""), ex)
			f.wantStatus(ex, test.status)
			if len(dates) != test.sent {
				t.Errorf("sent with dates %v, want %d", dates, test.sent)
			}
			if !strings.Contains(f.to.body, `"text":"hello"`) {
				t.Errorf("body %s", f.to.body)
			}
			if test.status != 200 {
				return
			}
			f.serve(f.Handler(80, ""), askOn("/b"))
			if len(dates) != test.sent+1 {
				t.Errorf("the next request does not know: dates %v", dates)
			}
		})
	}
}

func TestT81_EveryAttemptIsSignedAnew(t *testing.T) {
	at := time.Unix(1_800_000_000, 0)
	resources := bedrockOn("bedrock", "/b")
	resources[1].(*ir.Endpoints).Addresses = []ir.Endpoint{{Host: "10.0.0.7", Port: 443}, {Host: "10.0.0.8", Port: 443}}
	f := newIdentityFixture(t, fixedKey, resources...)
	setClock(f.Runtime, func() time.Time { at = at.Add(time.Second); return at })
	signatures := map[string]bool{}
	f.to.answer = func(ex *exchange.Exchange, to *exchange.Target) error {
		v, _ := ex.Request.Header.Get("Authorization")
		signatures[v] = true
		if len(signatures) == 1 {
			return connectFailure()
		}
		return bedrockAnswer(200, "", converse, at)(ex, to)
	}
	ex := askOn("/b")
	f.serve(f.Handler(80, ""), ex)
	f.wantStatus(ex, 200)
	if len(f.to.seen) != 2 || len(signatures) != 2 {
		t.Errorf("%d attempts with %d signatures", len(f.to.seen), len(signatures))
	}
}

// TestLM002_AChangedBackendGetsNoCredentialOfTheOldOne is about the moment
// between the translation of a request and its way out.
func TestLM002_AChangedBackendGetsNoCredentialOfTheOldOne(t *testing.T) {
	resources := bedrockOn("bedrock", "/b")
	f := newIdentityFixture(t, fixedKey, resources...)
	other := *resources[0].(*ir.Backend)
	other.LLM = &ir.LLMProvider{Provider: "openai", Host: "elsewhere.example"}
	f.to.answer = func(*exchange.Exchange, *exchange.Target) error {
		f.apply(ir.Update{Upserts: []ir.Resource{&other}})
		return connectFailure()
	}
	resources[1].(*ir.Endpoints).Addresses = append(resources[1].(*ir.Endpoints).Addresses, ir.Endpoint{Host: "10.0.0.8", Port: 443})
	f.registry.SetEndpoints("bedrock", resources[1].(*ir.Endpoints))
	ex := askOn("/b")
	f.serve(f.Handler(80, ""), ex)
	f.wantStatus(ex, 503)
	if len(f.to.seen) != 1 {
		t.Errorf("sent to %v", f.to.seen)
	}
}

func count(ex *exchange.Exchange, name string) (n int) {
	for range ex.Request.Header.Values(name) {
		n++
	}
	return n
}

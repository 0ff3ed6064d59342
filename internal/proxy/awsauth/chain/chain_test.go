package chain

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/citoroute/citoroute/internal/ir"
	"github.com/citoroute/citoroute/internal/proxy/awsauth"
)

// alone takes away whatever AWS identity the machine has.
func alone(t *testing.T) {
	t.Helper()
	for _, entry := range os.Environ() {
		if name, _, _ := strings.Cut(entry, "="); strings.HasPrefix(name, "AWS_") {
			t.Setenv(name, "")
		}
	}
	none := filepath.Join(t.TempDir(), "none")
	t.Setenv("AWS_CONFIG_FILE", none)
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", none)
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
}

// fakeSTS answers like AWS's token service. Its n-th answer is of key STSn.
type fakeSTS struct {
	lifetime time.Duration
	fail     bool

	issued atomic.Int64
	mu     sync.Mutex
	asked  []url.Values
	signed []string // the Authorization of each request
}

func (f *fakeSTS) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	form, _ := url.ParseQuery(string(body))
	f.mu.Lock()
	f.asked, f.signed = append(f.asked, form), append(f.signed, r.Header.Get("Authorization"))
	f.mu.Unlock()
	w.Header().Set("Content-Type", "text/xml")
	if f.fail {
		w.WriteHeader(http.StatusForbidden)
		_, _ = io.WriteString(w, `<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>not authorized to perform sts:AssumeRole</Message></Error></ErrorResponse>`)
		return
	}
	action := form.Get("Action")
	_, _ = fmt.Fprintf(w, `<%[1]sResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><%[1]sResult><Credentials>
		<AccessKeyId>STS%[2]d</AccessKeyId><SecretAccessKey>secret</SecretAccessKey><SessionToken>token</SessionToken><Expiration>%[3]s</Expiration>
		</Credentials></%[1]sResult></%[1]sResponse>`, action, f.issued.Add(1), time.Now().Add(f.lifetime).UTC().Format(time.RFC3339Nano))
}

func serve(t *testing.T, h http.Handler) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}

func writeFile(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func fetch(t *testing.T, id awsauth.Identity) awsauth.Credentials {
	t.Helper()
	id.Region = "eu-central-1"
	c, err := Fetch(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// jsonCredentials is what metadata services of containers and instances answer.
func jsonCredentials(w http.ResponseWriter, key string) {
	_ = json.NewEncoder(w).Encode(map[string]string{
		"Code": "Success", "AccessKeyId": key, "SecretAccessKey": "secret", "Token": "token",
		"Expiration": time.Now().Add(time.Hour).UTC().Format(time.RFC3339),
	})
}

func check(t *testing.T, c awsauth.Credentials, key string) {
	t.Helper()
	if c.AccessKeyID != key || c.SecretAccessKey != "secret" || c.SessionToken != "token" {
		t.Errorf("the credentials are of %s, want %s", c.AccessKeyID, key)
	}
	if left := time.Until(c.Expires); left < 59*time.Minute || left > time.Hour {
		t.Errorf("they expire in %s", left)
	}
}

func TestT82_Environment(t *testing.T) {
	alone(t)
	t.Setenv("AWS_ACCESS_KEY_ID", "ENV")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "secret")
	if c := fetch(t, awsauth.Identity{}); c.AccessKeyID != "ENV" || !c.Expires.IsZero() {
		t.Errorf("%s until %s", c.AccessKeyID, c.Expires)
	}
}

func TestT82_WebIdentityOfAServiceAccount(t *testing.T) {
	alone(t)
	sts := &fakeSTS{lifetime: time.Hour}
	t.Setenv("AWS_ENDPOINT_URL_STS", serve(t, sts))
	t.Setenv("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/bedrock")
	token := writeFile(t, "first")
	t.Setenv("AWS_WEB_IDENTITY_TOKEN_FILE", token)
	check(t, fetch(t, awsauth.Identity{}), "STS1")
	if err := os.WriteFile(token, []byte("second"), 0o600); err != nil { // the kubelet rotates it
		t.Fatal(err)
	}
	check(t, fetch(t, awsauth.Identity{}), "STS2")
	var tokens []string
	for _, form := range sts.asked {
		if form.Get("Action") != "AssumeRoleWithWebIdentity" || form.Get("RoleArn") != "arn:aws:iam::123456789012:role/bedrock" {
			t.Errorf("asked %v", form)
		}
		tokens = append(tokens, form.Get("WebIdentityToken"))
	}
	if diff := cmp.Diff([]string{"first", "second"}, tokens); diff != "" {
		t.Errorf("tokens (-want +got):\n%s", diff)
	}
}

func TestT82_PodIdentity(t *testing.T) {
	alone(t)
	t.Setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "pod-token" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		jsonCredentials(w, "POD")
	}))+"/v1/credentials")
	t.Setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", writeFile(t, "pod-token"))
	check(t, fetch(t, awsauth.Identity{}), "POD")
}

func TestT82_InstanceProfile(t *testing.T) {
	alone(t)
	t.Setenv("AWS_EC2_METADATA_DISABLED", "false")
	t.Setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Method == http.MethodPut && r.URL.Path == "/latest/api/token":
			w.Header().Set("X-Aws-Ec2-Metadata-Token-Ttl-Seconds", "21600")
			_, _ = io.WriteString(w, "session")
		case r.Header.Get("X-Aws-Ec2-Metadata-Token") != "session":
			w.WriteHeader(http.StatusUnauthorized)
		case strings.HasSuffix(r.URL.Path, "/security-credentials/"), strings.HasSuffix(r.URL.Path, "/security-credentials-extended/"):
			_, _ = io.WriteString(w, "node")
		default:
			jsonCredentials(w, "NODE")
		}
	})))
	check(t, fetch(t, awsauth.Identity{}), "NODE")
}

func TestT82_AssumedRole(t *testing.T) {
	alone(t)
	sts := &fakeSTS{lifetime: time.Hour}
	t.Setenv("AWS_ENDPOINT_URL_STS", serve(t, sts))
	check(t, fetch(t, awsauth.Identity{
		Key: awsauth.Credentials{AccessKeyID: "STATIC", SecretAccessKey: "x"},
		Role: &ir.AWSRole{
			ARN: "arn:aws:iam::123456789012:role/bedrock", ExternalID: "shop", SessionName: "citoroute",
			SessionTags: map[string]string{"team": "alpha", "env": "prod"},
		},
	}), "STS1")
	want := map[string]string{
		"Action": "AssumeRole", "RoleArn": "arn:aws:iam::123456789012:role/bedrock", "ExternalId": "shop", "RoleSessionName": "citoroute",
		"DurationSeconds": "3600", "Tags.member.1.Key": "env", "Tags.member.1.Value": "prod", "Tags.member.2.Key": "team", "Tags.member.2.Value": "alpha",
	}
	got := map[string]string{}
	for name := range want {
		got[name] = sts.asked[0].Get(name)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("asked (-want +got):\n%s", diff)
	}
	if !strings.Contains(sts.signed[0], "Credential=STATIC/") || !strings.Contains(sts.signed[0], "/eu-central-1/sts/") {
		t.Errorf("signed %s", sts.signed[0])
	}
}

func TestFetch_SaysWhatIsWrong(t *testing.T) {
	alone(t)
	if _, err := Fetch(t.Context(), awsauth.Identity{Region: "us-east-1"}); err == nil {
		t.Error("credentials out of nowhere")
	}
	t.Setenv("AWS_ENDPOINT_URL_STS", serve(t, &fakeSTS{fail: true}))
	_, err := Fetch(t.Context(), awsauth.Identity{
		Region: "us-east-1",
		Key:    awsauth.Credentials{AccessKeyID: "STATIC", SecretAccessKey: "not-for-the-log"},
		Role:   &ir.AWSRole{ARN: "arn:aws:iam::1:role/x", SessionName: "citoroute"},
	})
	if err == nil || !strings.Contains(err.Error(), "AccessDenied") || strings.Contains(err.Error(), "not-for-the-log") {
		t.Error(err)
	}
}

// TestT82_RefreshUnderLoad renews against a token service whose credentials
// live for seconds, while eight users never meet a moment without.
func TestT82_RefreshUnderLoad(t *testing.T) {
	alone(t)
	sts := &fakeSTS{lifetime: 3 * time.Second}
	t.Setenv("AWS_ENDPOINT_URL_STS", serve(t, sts))
	store := awsauth.NewStore(awsauth.Options{Fetch: Fetch, Rand: rand.Uint64, Log: slog.New(slog.DiscardHandler)})
	source, release := store.Use("llm/ns/claude", awsauth.Identity{
		Region: "us-east-1",
		Key:    awsauth.Credentials{AccessKeyID: "STATIC", SecretAccessKey: "x"},
		Role:   &ir.AWSRole{ARN: "arn:aws:iam::1:role/x", SessionName: "citoroute"},
	})
	defer release()
	<-source.Settled()
	var uses, failed atomic.Int64
	var users sync.WaitGroup
	deadline := time.Now().Add(20 * time.Second)
	for range 8 {
		users.Go(func() {
			for pause := time.NewTicker(100 * time.Microsecond); sts.issued.Load() < 3 && time.Now().Before(deadline); <-pause.C {
				uses.Add(1)
				if _, err := source.Credentials(time.Now()); err != nil {
					failed.Add(1)
				}
			}
		})
	}
	users.Wait()
	if failed.Load() != 0 || sts.issued.Load() < 3 {
		t.Errorf("%d of %d uses met no valid credentials; %d were issued", failed.Load(), uses.Load(), sts.issued.Load())
	}
}

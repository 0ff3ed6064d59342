package standalone

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/citoroute/citoroute/internal/fakellm"
)

// agent hands out credentials as EKS Pod Identity does: the fake provider's key
// with another session token each time, for three seconds.
type agent struct{ issued atomic.Int64 }

func (a *agent) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	_ = json.NewEncoder(w).Encode(map[string]string{
		"AccessKeyId": fakellm.AccessKeyID, "SecretAccessKey": fakellm.SecretAccessKey, "Token": fmt.Sprint("token-", a.issued.Add(1)),
		"Expiration": time.Now().Add(3 * time.Second).UTC().Format(time.RFC3339Nano),
	})
}

// tokens is Bedrock as it is faked, which notes the session tokens it is asked
// with: their signatures are checked.
type tokens struct {
	http.Handler
	mu   sync.Mutex
	seen map[string]int
}

func (s *tokens) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.seen[r.Header.Get("X-Amz-Security-Token")]++
	s.mu.Unlock()
	s.Handler.ServeHTTP(w, r)
}

func (s *tokens) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.seen)
}

// TestT82_RefreshUnderLoad runs the whole gateway with an identity whose
// credentials expire every three seconds: no request fails.
func TestT82_RefreshUnderLoad(t *testing.T) {
	for _, entry := range os.Environ() {
		if name, _, _ := strings.Cut(entry, "="); strings.HasPrefix(name, "AWS_") {
			t.Setenv(name, "")
		}
	}
	none := filepath.Join(t.TempDir(), "none")
	t.Setenv("AWS_CONFIG_FILE", none)
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", none)
	podIdentity := httptest.NewServer(&agent{})
	defer podIdentity.Close()
	t.Setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", podIdentity.URL+"/v1/credentials")
	provider := &tokens{Handler: fakellm.New(fakellm.Options{}), seen: map[string]int{}}
	bedrock := httptest.NewServer(provider)
	defer bedrock.Close()

	r := serve(t, map[string]string{"llm.yaml": strings.ReplaceAll(`
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: gw}
spec:
  gatewayClassName: citoroute
  listeners: [{name: http, port: 80, protocol: HTTP}]
---
apiVersion: citoroute.io/v1alpha1
kind: LLMRoute
metadata: {name: chat}
spec:
  parentRefs: [{name: gw}]
  backendRefs: [{name: nova}]
---
apiVersion: citoroute.io/v1alpha1
kind: LLMBackend
metadata: {name: nova}
spec:
  provider: Bedrock
  model: amazon.nova-lite-v1:0
  endpoint: BEDROCK
  bedrock: {region: eu-central-1}
`, "BEDROCK", bedrock.URL)})
	var failed atomic.Int64
	var first sync.Map
	var clients sync.WaitGroup
	deadline := time.Now().Add(30 * time.Second)
	for range 4 {
		clients.Go(func() {
			for pause := time.NewTicker(5 * time.Millisecond); provider.count() < 3 && time.Now().Before(deadline); <-pause.C {
				a := r.send(80, http.MethodPost, "http://gateway.test/v1/chat/completions", map[string]string{"Content-Type": "application/json"},
					`{"model":"any","messages":[{"role":"user","content":"hello"}]}`)
				if a.status != http.StatusOK {
					failed.Add(1)
					first.LoadOrStore("failure", fmt.Sprint(a.status, a.body))
				}
			}
		})
	}
	clients.Wait()
	failure, _ := first.Load("failure")
	if failed.Load() != 0 || provider.count() < 3 || provider.seen[""] != 0 {
		t.Errorf("%d requests failed (%v), %d session tokens were seen", failed.Load(), failure, provider.count())
	}
}

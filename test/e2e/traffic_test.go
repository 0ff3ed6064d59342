package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// controllerTimeout is how long the controller or a proxy may take to start.
const controllerTimeout = 2 * time.Minute

// echo is what the backend says about a request that reached it.
type echo struct {
	Path    string              `json:"path"`
	Headers map[string][]string `json:"headers"`
	Pod     string              `json:"pod"`
}

// backend returns the name of the Deployment that answered.
func (e echo) backend() string {
	parts := strings.Split(e.Pod, "-")
	return strings.Join(parts[:max(len(parts)-2, 0)], "-")
}

// newClient returns a client that keeps one connection and gives up early.
func newClient() *http.Client {
	return &http.Client{
		Transport: &http.Transport{MaxIdleConnsPerHost: 1},
		Timeout:   10 * time.Second,
	}
}

// get sends a request to an echo backend.
func get(ctx context.Context, c *http.Client, url string) (int, echo, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return 0, echo{}, err
	}
	response, err := c.Do(request)
	if err != nil {
		return 0, echo{}, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return 0, echo{}, fmt.Errorf("read the body: %w", err)
	}
	var e echo
	if response.StatusCode == http.StatusOK {
		err = json.Unmarshal(body, &e)
	}
	return response.StatusCode, e, err
}

// eventuallyServed waits until a request gets 200 from the backend.
func eventuallyServed(ctx context.Context, url, backend string) {
	GinkgoHelper()
	c := newClient()
	Eventually(func(g Gomega) {
		status, e, err := get(ctx, c, url)
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(status).To(Equal(http.StatusOK))
		g.Expect(e.backend()).To(Equal(backend))
	}).WithContext(ctx).Should(Succeed())
}

// load is a constant loop of requests.
type load struct {
	cancel  context.CancelFunc
	workers sync.WaitGroup
	served  atomic.Int64
	failed  atomic.Int64
	mu      sync.Mutex
	first   []string // the first failures
}

// startLoad sends requests to url until stop: each worker one after the other
// over one connection, 500 a second at most.
func startLoad(ctx context.Context, url string, workers int) *load {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	l := &load{cancel: cancel}
	for range workers {
		l.workers.Go(func() { l.run(ctx, url) })
	}
	DeferCleanup(cancel)
	return l
}

func (l *load) run(ctx context.Context, url string) {
	c := newClient()
	pace := time.NewTicker(2 * time.Millisecond)
	defer pace.Stop()
	for ctx.Err() == nil {
		<-pace.C
		status, _, err := get(ctx, c, url)
		switch {
		case ctx.Err() != nil:
		case err != nil:
			l.fail(err.Error())
		case status != http.StatusOK:
			l.fail(fmt.Sprintf("status %d", status))
		default:
			l.served.Add(1)
		}
	}
}

func (l *load) fail(what string) {
	l.failed.Add(1)
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.first) < 5 {
		l.first = append(l.first, time.Now().Format("15:04:05.000 ")+what)
	}
}

// serve waits until n more requests have been served.
func (l *load) serve(ctx context.Context, n int64) {
	GinkgoHelper()
	target := l.served.Load() + n
	Eventually(l.served.Load).WithContext(ctx).Should(BeNumerically(">=", target))
}

// stop ends the loop and demands that no request failed.
func (l *load) stop() {
	GinkgoHelper()
	l.cancel()
	l.workers.Wait()
	AddReportEntry("load", fmt.Sprintf("%d requests served, %d failed", l.served.Load(), l.failed.Load()))
	Expect(l.failed.Load()).To(BeZero(), "first failures: %v", l.first)
}

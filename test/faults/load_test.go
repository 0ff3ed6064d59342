package faults

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// answer is what became of a request.
type answer struct {
	id, body string
	status   int // 0: none came whole, and body says why
}

// load asks by several workers with connections of their own.
type load struct {
	t       *testing.T
	method  string
	url     string
	pause   time.Duration // of each worker between requests
	client  func() *http.Transport
	count   atomic.Int64
	done    chan struct{}
	wg      sync.WaitGroup
	mutex   sync.Mutex
	answers []answer
}

// workers is how many requests of a load are under way at a time.
const workers = 8

// put starts a load without pauses.
func put(t *testing.T, method, url string) *load {
	t.Helper()
	return putWith(t, method, url, 0)
}

// putWith starts a load whose workers pause: for a test that goes on for long and
// is not the only one.
func putWith(t *testing.T, method, url string, pause time.Duration) *load {
	t.Helper()
	return (&load{t: t, method: method, url: url, pause: pause}).start()
}

func (l *load) start() *load {
	l.done = make(chan struct{})
	for range workers {
		l.wg.Go(l.work)
	}
	return l
}

func (l *load) work() {
	client := new(http.Transport)
	if l.client != nil {
		client = l.client()
	}
	defer client.CloseIdleConnections()
	tick := time.NewTicker(max(l.pause, time.Nanosecond))
	defer tick.Stop()
	for {
		if l.pause > 0 {
			<-tick.C
		}
		select {
		case <-l.done:
			return
		default:
		}
		id := fmt.Sprintf("%s-%d", l.method, l.count.Add(1))
		a := answer{id: id}
		a.status, a.body = ask(l.t, client, l.method, l.url, id)
		l.mutex.Lock()
		l.answers = append(l.answers, a)
		l.mutex.Unlock()
		if refused(a) {
			return // as a load balancer stops sending to who takes no connections
		}
	}
}

func refused(a answer) bool { return a.status == 0 && strings.Contains(a.body, "connection refused") }

// more waits for n more answers.
func (l *load) more(n int) {
	l.t.Helper()
	enough := l.answered() + n
	eventually(l.t, fmt.Sprintf("%d more answers", n), func() bool { return l.answered() >= enough })
}

func (l *load) answered() int {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	return len(l.answers)
}

// failures are the answers so far that are not as they should be.
func (l *load) failures() []answer {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	return failed(l.answers)
}

// stop ends the load and returns all answers.
func (l *load) stop() []answer {
	close(l.done)
	return l.wait()
}

// wait returns all answers when every worker has been refused.
func (l *load) wait() []answer {
	l.wg.Wait()
	return l.answers
}

// failed are the answers that are not 200 with the request's own id.
func failed(all []answer) (out []answer) {
	for _, a := range all {
		if a.status != http.StatusOK || a.body != a.id {
			out = append(out, a)
		}
	}
	return out
}

// onceOnly checks that none of the backends, alone or together, began a request
// twice.
func onceOnly(t *testing.T, all ...*backend) {
	t.Helper()
	total := map[string]int{}
	for _, b := range all {
		for id, n := range b.seen() {
			if total[id] += n; total[id] > 1 && id != "" {
				t.Errorf("request %s was carried out %d times", id, total[id])
			}
		}
	}
}

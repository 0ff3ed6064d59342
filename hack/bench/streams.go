package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Streams that run at the same time, and what each brings.
const (
	busyStreams  = 50
	busyChunks   = 100
	busyInterval = 20 * time.Millisecond

	slowStreams  = 1000
	slowChunks   = 8
	slowInterval = time.Second
)

// streamRun is one set of streams and what came of it.
type streamRun struct {
	name, path string
	direct     []time.Duration // how long each chunk took from the backend
	proxied    []time.Duration // through our proxy
}

// measureStreams runs the backend and the clients in this process, on their
// core, so that a chunk's time under way is told by one clock.
func measureStreams(ctx context.Context, o options) error {
	if err := pin(ctx, otherCore); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "bench-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	backend := &streamBackend{epoch: time.Now(), chunks: busyChunks, interval: busyInterval}
	server := &http.Server{Addr: backendAddress, Handler: backend, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = server.ListenAndServe() }()
	defer func() { _ = server.Close() }()
	config, err := writeConfig(dir, llmResources(19084, backendAddress))
	if err != nil {
		return err
	}
	proxy, err := start(ctx, proxyCore, llmAddress, o.proxy, "--bootstrap", config)
	if err != nil {
		return err
	}
	defer proxy.stop()
	idle := proxy.memory()
	runs := []streamRun{
		{name: nameOpenAI, path: "/openai"}, {name: nameAnthropic, path: "/anthropic"}, {name: nameBedrock, path: "/bedrock"},
	}
	for range o.rounds {
		for i := range runs {
			if err := runs[i].run(ctx, backend); err != nil {
				return fmt.Errorf("%s: %w", runs[i].name, err)
			}
		}
	}
	backend.chunks, backend.interval = slowChunks, slowInterval
	peak, err := backend.watchMemory(ctx, proxy)
	if err != nil {
		return err
	}
	reportStreams(os.Stdout, runs, idle, peak)
	return nil
}

// pin binds this process to a core.
func pin(ctx context.Context, core string) error {
	runtime.GOMAXPROCS(1)
	out, err := exec.CommandContext(ctx, "taskset", "-a", "-c", "-p", core, strconv.Itoa(os.Getpid())).CombinedOutput()
	if err != nil {
		return fmt.Errorf("taskset: %w: %s", err, out)
	}
	return nil
}

// directPaths are where the backend itself offers what a route leads to.
var directPaths = map[string]string{
	"/openai": chatPath, "/anthropic": "/v1/messages", "/bedrock": "/model/bench/converse-stream",
}

func (r *streamRun) run(ctx context.Context, b *streamBackend) error {
	direct, err := b.ask(ctx, "http://"+backendAddress+directPaths[r.path], busyStreams)
	if err != nil {
		return err
	}
	proxied, err := b.ask(ctx, "http://"+llmAddress+r.path+chatPath, busyStreams)
	r.direct, r.proxied = append(r.direct, direct...), append(r.proxied, proxied...)
	return err
}

// ask opens n streams at a time and returns how long each chunk was under way.
// They start one after the other, so that their chunks do not come together.
func (b *streamBackend) ask(ctx context.Context, url string, n int) ([]time.Duration, error) {
	transport := &http.Transport{DisableCompression: true}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport}
	var (
		all   sync.WaitGroup
		mu    sync.Mutex
		times []time.Duration
		errs  []error
	)
	for i := range n {
		all.Go(func() {
			<-time.After(b.interval * time.Duration(i) / time.Duration(n))
			took, err := b.listen(ctx, client, url)
			mu.Lock()
			defer mu.Unlock()
			times, errs = append(times, took...), append(errs, err)
		})
	}
	all.Wait()
	return times, errors.Join(errs...)
}

func (b *streamBackend) listen(ctx context.Context, client *http.Client, url string) ([]time.Duration, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(prompt(true)))
	if err != nil {
		return nil, err
	}
	response, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		body, _ := io.ReadAll(response.Body)
		return nil, fmt.Errorf("status %d: %s", response.StatusCode, body)
	}
	var took []time.Duration
	buffer := bufio.NewReaderSize(response.Body, 2<<10)
	for err == nil {
		if _, err = buffer.Peek(1); err != nil {
			break
		}
		chunk, _ := buffer.Peek(buffer.Buffered())
		now := time.Since(b.epoch)
		for _, sent := range stamps(chunk) {
			took = append(took, now-sent)
		}
		_, err = buffer.Discard(len(chunk))
	}
	if !errors.Is(err, io.EOF) {
		return took, err
	}
	if len(took) < b.chunks {
		return took, fmt.Errorf("%d of %d chunks came", len(took), b.chunks)
	}
	return took, nil
}

// stampLength is how many digits say when a chunk was sent.
const stampLength = 16

// stamps finds when the chunks in b were sent. They are short, so that one is
// never cut in two.
func stamps(b []byte) []time.Duration {
	var sent []time.Duration
	for {
		_, after, ok := bytes.Cut(b, []byte("sent@"))
		if !ok || len(after) < stampLength {
			return sent
		}
		n, err := strconv.ParseInt(string(after[:stampLength]), 10, 64)
		if err == nil {
			sent = append(sent, time.Duration(n))
		}
		b = after[stampLength:]
	}
}

// watchMemory returns the most memory that the proxy held while many slow
// streams, translated ones, went through it, in bytes.
func (b *streamBackend) watchMemory(ctx context.Context, p *process) (int64, error) {
	done := make(chan error, 1)
	go func() {
		_, err := b.ask(ctx, "http://"+llmAddress+"/anthropic"+chatPath, slowStreams)
		done <- err
	}()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	peak := int64(0)
	for {
		select {
		case err := <-done:
			return peak, err
		case <-tick.C:
			peak = max(peak, p.memory())
		}
	}
}

func reportStreams(w io.Writer, runs []streamRun, idle, peak int64) {
	fmt.Fprintf(w, "\n%d streams at a time, a chunk every %s each: how long a chunk is under way\n", busyStreams, busyInterval)
	fmt.Fprintf(w, "%-24s %10s %10s %10s %10s %10s\n", "", "p50", "p99", "chunks", "adds p50", "adds p99")
	for _, r := range runs {
		fmt.Fprintf(w, "%-24s %10s %10s %10d\n", r.name+", direct", quantile(r.direct, .5), quantile(r.direct, .99), len(r.direct))
		fmt.Fprintf(w, "%-24s %10s %10s %10d %10s %10s\n", r.name+", proxied",
			quantile(r.proxied, .5), quantile(r.proxied, .99), len(r.proxied),
			quantile(r.proxied, .5)-quantile(r.direct, .5), quantile(r.proxied, .99)-quantile(r.direct, .99))
	}
	const mega = 1 << 20
	fmt.Fprintf(w, "\n%d slow streams, translated: the proxy holds %d MiB (%d MiB before), %d KiB a stream\n",
		slowStreams, peak/mega, idle/mega, (peak-idle)/slowStreams/1024)
}

func quantile(values []time.Duration, q float64) time.Duration {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[min(int(q*float64(len(sorted))), len(sorted)-1)].Round(time.Microsecond)
}

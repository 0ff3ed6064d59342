package main

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// result is what one proxy did, by round.
type result struct {
	name    string
	rate    []float64 // requests a second
	cpu     []float64 // microseconds of processor time per request
	latency []float64 // milliseconds, at the 99th percentile; 0: h2load does not tell
	errors  int
}

const warmUp = time.Second

func runRounds(ctx context.Context, o options, contenders []contender) ([]result, error) {
	results := make([]result, len(contenders))
	for i, c := range contenders {
		results[i] = result{name: c.name}
		if _, err := runLoad(ctx, o, c, warmUp); err != nil {
			return nil, fmt.Errorf("%s: %w", c.name, err)
		}
	}
	for round := range o.rounds {
		for _, i := range rand.Perm(len(contenders)) {
			if err := results[i].run(ctx, o, contenders[i], round); err != nil {
				return nil, fmt.Errorf("%s: %w", contenders[i].name, err)
			}
		}
		fmt.Fprintf(os.Stderr, "round %d of %d:", round+1, o.rounds)
		for _, r := range results {
			fmt.Fprintf(os.Stderr, "  %s %.0f/s", r.name, r.rate[round])
		}
		fmt.Fprintln(os.Stderr)
	}
	return results, nil
}

func (r *result) run(ctx context.Context, o options, c contender, round int) error {
	if o.profile != "" {
		go profile(ctx, o, fmt.Sprintf("%s-%d.pprof", strings.ReplaceAll(c.name, " ", "-"), round))
	}
	before := c.cpu()
	l, err := runLoad(ctx, o, c, o.duration)
	if err != nil {
		return err
	}
	r.rate = append(r.rate, l.rate)
	r.cpu = append(r.cpu, float64((c.cpu()-before).Microseconds())/float64(max(l.requests, 1)))
	r.latency = append(r.latency, l.p99)
	r.errors += l.errors
	return nil
}

// profile keeps a CPU profile of our proxy under load.
func profile(ctx context.Context, o options, name string) {
	url := fmt.Sprintf("http://%s/debug/pprof/profile?seconds=%d", adminAddress, max(int(o.duration.Seconds())-1, 1))
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return
	}
	response, err := (&http.Client{Timeout: o.duration + 10*time.Second}).Do(request)
	if err != nil {
		fmt.Fprintln(os.Stderr, "profile:", err)
		return
	}
	defer response.Body.Close()
	file, err := os.Create(filepath.Join(o.profile, name))
	if err != nil {
		fmt.Fprintln(os.Stderr, "profile:", err)
		return
	}
	_, _ = io.Copy(file, response.Body)
	_ = file.Close()
}

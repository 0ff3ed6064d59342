package main

import (
	"context"
	"fmt"
	"os/exec"
	"regexp"
	"strconv"
	"time"
)

type loadResult struct {
	rate     float64
	requests int
	p99      float64 // milliseconds; 0: not told
	errors   int
}

// Lines of wrk's output, and of h2load's.
var (
	pacedRateLine     = regexp.MustCompile(`finished in [\d.]+s, ([\d.]+) req/s`)
	pacedRequestsLine = regexp.MustCompile(`(\d+) succeeded, (\d+) failed`)
	pacedStatusLine   = regexp.MustCompile(`status codes: (\d+) 2xx`)

	rateLine     = regexp.MustCompile(`Requests/sec:\s+([\d.]+)`)
	requestsLine = regexp.MustCompile(`(\d+) requests in`)
	p99Line      = regexp.MustCompile(`(?m)^\s+99%\s+(\S+)`)
	statusLine   = regexp.MustCompile(`Non-2xx or 3xx responses: (\d+)`)
	socketLine   = regexp.MustCompile(`Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)`)
)

func runLoad(ctx context.Context, o options, c contender, d time.Duration) (loadResult, error) {
	if o.rate > 0 {
		return runPaced(ctx, o, c, d)
	}
	args := []string{
		"-c", otherCore, "wrk", "-t1", "--latency",
		"-c" + strconv.Itoa(o.connections), "-d" + strconv.Itoa(max(int(d.Seconds()), 1)) + "s",
	}
	for _, h := range c.header {
		args = append(args, "-H", h)
	}
	if c.script != "" {
		args = append(args, "-s", c.script)
	}
	out, err := exec.CommandContext(ctx, "taskset", append(args, c.url)...).CombinedOutput()
	if err != nil {
		return loadResult{}, fmt.Errorf("wrk: %w: %s", err, out)
	}
	var l loadResult
	l.rate, _ = strconv.ParseFloat(group(rateLine, out, 1), 64)
	l.requests, _ = strconv.Atoi(group(requestsLine, out, 1))
	if p99, err := time.ParseDuration(group(p99Line, out, 1)); err == nil {
		l.p99 = p99.Seconds() * 1e3
	}
	l.errors, _ = strconv.Atoi(group(statusLine, out, 1))
	for i := range 4 {
		n, _ := strconv.Atoi(group(socketLine, out, i+1))
		l.errors += n
	}
	if l.rate == 0 {
		return l, fmt.Errorf("wrk got no answer: %s", out)
	}
	return l, nil
}

// runPaced sends requests at a rate that all contenders can serve. Then none of
// them waits for another, and what a request takes is comparable: under full load
// the one that is slower also wakes load and backend for each request, which a
// faster one keeps awake.
func runPaced(ctx context.Context, o options, c contender, d time.Duration) (loadResult, error) {
	args := []string{
		"-c", otherCore, "h2load", "--h1", "-t1", "-c" + strconv.Itoa(o.connections),
		"--rps=" + strconv.Itoa(max(o.rate/o.connections, 1)), "-D" + strconv.Itoa(max(int(d.Seconds()), 1)),
	}
	for _, h := range c.header {
		args = append(args, "-H", h)
	}
	if c.body != "" {
		args = append(args, "-d", c.body, "-H", "Content-Type: application/json", "-H", "Authorization: Bearer client")
	}
	out, err := exec.CommandContext(ctx, "taskset", append(args, c.url)...).CombinedOutput()
	if err != nil {
		return loadResult{}, fmt.Errorf("h2load: %w: %s", err, out)
	}
	var l loadResult
	l.rate, _ = strconv.ParseFloat(group(pacedRateLine, out, 1), 64)
	l.requests, _ = strconv.Atoi(group(pacedRequestsLine, out, 1))
	good, _ := strconv.Atoi(group(pacedStatusLine, out, 1))
	failed, _ := strconv.Atoi(group(pacedRequestsLine, out, 2))
	l.errors = failed + l.requests - good
	if l.rate == 0 {
		return l, fmt.Errorf("h2load got no answer: %s", out)
	}
	return l, nil
}

func group(expression *regexp.Regexp, b []byte, n int) string {
	if found := expression.FindSubmatch(b); found != nil {
		return string(found[n])
	}
	return ""
}

// Command bench measures proxies side by side. Each round runs every contender
// once, in a random order. The proxy has one core to itself; the load (wrk, or
// h2load where a rate is given) and the backend share another. What counts is the
// ratio within a round, because a machine's speed changes between rounds.
//
//	bench -proxy bin/proxy [-suite http] [-rounds 20] [-duration 3s] [-rate N] [-profile DIR]
//	bench backend ADDRESS
//	bench reverseproxy ADDRESS BACKEND
//
// The suites:
//
//	http     nginx (twice, as a check of the measurement itself),
//	         httputil.ReverseProxy, and ours with routing, filters, metrics and
//	         timeouts on
//	llm      chat completions through ours, relayed and translated, against a
//	         plain proxy pass of the same bytes, by ours and by nginx
//	streams  what ours adds to each chunk of a stream, and its memory with 1,000
//	portkey  chat completions through ours and Portkey's gateway (portkey.sh)
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"os/signal"
	"time"
)

const (
	proxyCore = "1"
	otherCore = "0"

	backendAddress = "127.0.0.1:19080"
	adminAddress   = "127.0.0.1:19090"
)

type options struct {
	proxy       string
	suite       string
	rounds      int
	duration    time.Duration
	connections int
	rate        int // requests a second; 0: as many as are answered
	profile     string
	portkey     string
}

func main() {
	log.SetFlags(0)
	log.SetPrefix("bench: ")
	if err := dispatch(os.Args[1:]); err != nil {
		log.Fatal(err)
	}
}

func dispatch(args []string) error {
	switch {
	case len(args) == 2 && args[0] == "backend":
		return serveBackend(args[1])
	case len(args) == 3 && args[0] == "reverseproxy":
		return serveReverseProxy(args[1], args[2])
	}
	var o options
	flag.StringVar(&o.proxy, "proxy", "bin/proxy", "our proxy's `program`")
	flag.StringVar(&o.suite, "suite", "http", "what to measure: http, llm, streams or portkey")
	flag.IntVar(&o.rounds, "rounds", 20, "rounds to run")
	flag.DurationVar(&o.duration, "duration", 3*time.Second, "of each contender in each round")
	flag.IntVar(&o.connections, "connections", 64, "that wrk keeps open")
	flag.IntVar(&o.rate, "rate", 0, "`requests` a second, which all contenders can serve, for CPU per request under like conditions; 0: as many as are answered")
	flag.StringVar(&o.profile, "profile", "", "`folder` for CPU profiles of our proxy; the profiled rounds do not count as a result")
	flag.StringVar(&o.portkey, "portkey", "", "`file` that starts Portkey's gateway: see portkey.sh")
	flag.Parse()
	if flag.NArg() > 0 || o.rounds < 1 {
		return errors.New("see bench -help")
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	switch o.suite {
	case "http":
		return measure(ctx, o, httpSuite)
	case "llm":
		return measure(ctx, o, llmSuite)
	case "portkey":
		return measure(ctx, o, portkeySuite)
	case "streams":
		return measureStreams(ctx, o)
	}
	return fmt.Errorf("-suite: there is no %q", o.suite)
}

// suite is a set of contenders and what is compared of them.
type suite struct {
	start func(ctx context.Context, dir, self string, o options) ([]contender, error)
	about string
	pairs [][2]string
}

// contender is one way of answering a request. Several may share a process.
type contender struct {
	name   string
	url    string
	header []string
	script string // wrk's, in Lua; empty: GET
	body   string // file of what the script sends
	peer   bool   // what it fails to answer does not fail the run
	*process
}

func measure(ctx context.Context, o options, s suite) error {
	dir, err := os.MkdirTemp("", "bench-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	self, err := os.Executable()
	if err != nil {
		return err
	}
	backend, err := start(ctx, otherCore, backendAddress, self, "backend", backendAddress)
	if err != nil {
		return err
	}
	defer backend.stop()
	contenders, err := s.start(ctx, dir, self, o)
	defer func() {
		for _, c := range contenders {
			c.stop()
		}
	}()
	if err != nil {
		return err
	}
	results, err := runRounds(ctx, o, contenders)
	if err != nil {
		return err
	}
	report(os.Stdout, results, o, s)
	for i, r := range results {
		if r.errors > 0 && !contenders[i].peer {
			return fmt.Errorf("%s: %d requests were not answered with 2xx", r.name, r.errors)
		}
	}
	return nil
}

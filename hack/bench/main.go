// Command bench measures HTTP/1.1 proxies side by side: nginx (twice, as a check
// of the measurement itself), httputil.ReverseProxy, and ours with routing,
// filters, metrics and timeouts on.
//
// Each round runs every proxy once, in a random order. A proxy has one core to
// itself; the load (wrk) and the backend share another. What counts is the
// ratio within a round, because a machine's speed changes between rounds.
//
//	bench -proxy bin/proxy [-rounds 7] [-duration 8s] [-profile DIR]
//	bench backend ADDRESS
//	bench reverseproxy ADDRESS BACKEND
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

	bodySize = 600 // bytes in each response

	backendAddress = "127.0.0.1:19080"
	host           = "shop-7.bench.example.com"
	path           = "/api/v1/orders/42"
)

type options struct {
	proxy       string
	rounds      int
	duration    time.Duration
	connections int
	profile     string
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
	flag.IntVar(&o.rounds, "rounds", 7, "rounds to run")
	flag.DurationVar(&o.duration, "duration", 8*time.Second, "of each proxy in each round")
	flag.IntVar(&o.connections, "connections", 128, "that wrk keeps open")
	flag.StringVar(&o.profile, "profile", "", "`folder` for a CPU profile of our proxy; the profiled rounds do not count as a result")
	flag.Parse()
	if flag.NArg() > 0 || o.rounds < 1 {
		return errors.New("see bench -help")
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	return measure(ctx, o)
}

func measure(ctx context.Context, o options) error {
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
	contenders, err := startContenders(ctx, dir, self, o.proxy)
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
	report(os.Stdout, results, o)
	for _, r := range results {
		if r.errors > 0 {
			return fmt.Errorf("%s: %d requests were not answered with 2xx", r.name, r.errors)
		}
	}
	return nil
}

package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/citoroute/citoroute/internal/bootstrap"
	"github.com/citoroute/citoroute/internal/ir"
	"github.com/citoroute/citoroute/internal/proxy/source"
)

const (
	nameNginx = "nginx"
	nameAgain = "nginx again"
	nameGo    = "httputil.ReverseProxy"
	nameOurs  = "citoroute"

	host = "shop-7.bench.example.com"
	path = "/api/v1/orders/42"
)

var httpSuite = suite{
	start: startProxies,
	about: fmt.Sprintf("GET, %d-byte bodies", bodySize),
	pairs: [][2]string{{nameOurs, nameNginx}, {nameOurs, nameGo}, {nameAgain, nameNginx}},
}

func startProxies(ctx context.Context, dir, self string, o options) ([]contender, error) {
	var started []contender
	add := func(name, address string, p *process) {
		started = append(started, contender{name: name, url: "http://" + address + path, process: p, header: []string{
			"Host: " + host, "Accept: application/json", "User-Agent: bench/1",
			"X-Request-Id: 3b6f7a52-6d3e-4f6e-9f2b-0c3a1d2e4f5a",
		}})
	}
	for i, name := range []string{nameNginx, nameAgain} {
		p, err := startNginx(ctx, dir, i)
		if err != nil {
			return started, err
		}
		add(name, nginxAddress(i), p)
	}
	const reverseProxy, ours = "127.0.0.1:19083", "127.0.0.1:19084"
	p, err := start(ctx, proxyCore, reverseProxy, self, "reverseproxy", reverseProxy, backendAddress)
	if err != nil {
		return started, fmt.Errorf("%s: %w", nameGo, err)
	}
	add(nameGo, reverseProxy, p)
	config, err := writeConfig(dir, resources(19084))
	if err != nil {
		return started, err
	}
	if p, err = start(ctx, proxyCore, ours, o.proxy, "--bootstrap", config); err != nil {
		return started, fmt.Errorf("%s: %w", nameOurs, err)
	}
	add(nameOurs, ours, p)
	return started, nil
}

// nginxAddress is where the nginx of a number listens.
func nginxAddress(i int) string { return fmt.Sprintf("127.0.0.1:1908%d", i+1) }

// startNginx starts nginx with one worker, which passes everything to the backend.
func startNginx(ctx context.Context, dir string, i int) (*process, error) {
	config := filepath.Join(dir, fmt.Sprintf("nginx-%d.conf", i))
	if err := os.WriteFile(config, []byte(nginxConfig(nginxAddress(i), dir, i)), 0o600); err != nil {
		return nil, err
	}
	p, err := start(ctx, proxyCore, nginxAddress(i), "nginx", "-c", config, "-e", filepath.Join(dir, "nginx-error.log"))
	if err != nil {
		return nil, fmt.Errorf("nginx: %w", err)
	}
	return p, nil
}

func nginxConfig(address, dir string, i int) string {
	return fmt.Sprintf(`
daemon off;
worker_processes 1;
pid %[2]s/nginx-%[3]d.pid;
events { worker_connections 4096; }
http {
  access_log off;
  keepalive_requests 10000000;
  client_body_temp_path %[2]s/body-%[3]d;
  proxy_temp_path %[2]s/proxy-%[3]d;
  fastcgi_temp_path %[2]s/fastcgi-%[3]d;
  uwsgi_temp_path %[2]s/uwsgi-%[3]d;
  scgi_temp_path %[2]s/scgi-%[3]d;
  upstream backend {
    server %[4]s;
    keepalive 256;
    keepalive_requests 10000000;
  }
  server {
    listen %[1]s;
    location / {
      proxy_pass http://backend;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host $http_host;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
      proxy_set_header X-Bench 1;
      proxy_connect_timeout 5s;
      proxy_read_timeout 30s;
      add_header X-Served-By bench;
    }
  }
}
`, address, dir, i, backendAddress)
}

// writeConfig writes our proxy's configuration and a bootstrap that names it.
func writeConfig(dir string, all []ir.Resource) (string, error) {
	content, err := source.Marshal(all)
	if err != nil {
		return "", err
	}
	file := filepath.Join(dir, "config.json")
	if err := os.WriteFile(file, content, 0o600); err != nil {
		return "", err
	}
	b := bootstrap.Default()
	b.Node, b.Source, b.File.Path, b.Admin = "gateway/bench/bench", bootstrap.SourceFile, file, adminAddress
	toml, err := b.Marshal()
	if err != nil {
		return "", err
	}
	name := filepath.Join(dir, "proxy.toml")
	return name, os.WriteFile(name, toml, 0o600)
}

// resources are the route under load among 200 on the same port, with filters
// and timeouts.
func resources(port uint16) []ir.Resource {
	all := frame(port, backendAddress)
	for i := range 20 {
		route := &ir.Route{
			Name:      fmt.Sprintf("HTTPRoute/bench/shop-%d@bench/bench/http", i),
			Source:    ir.Source{Kind: "HTTPRoute", Namespace: "bench", Name: fmt.Sprintf("shop-%d", i)},
			Listener:  "bench/bench/http",
			Hostnames: []string{fmt.Sprintf("shop-%d.bench.example.com", i)},
		}
		for _, prefix := range []string{
			"/", "/api", "/api/v1", "/api/v1/orders", "/api/v2", "/static", "/img", "/cart", "/login", "/admin",
		} {
			route.Rules = append(route.Rules, rule(prefix))
		}
		all = append(all, route)
	}
	return all
}

// frame is a listener, and a backend at an address.
func frame(port uint16, address string) []ir.Resource {
	backendHost, backendPort, _ := strings.Cut(address, ":")
	number, _ := strconv.ParseUint(backendPort, 10, 16)
	return []ir.Resource{
		&ir.Endpoints{Name: "backend", Addresses: []ir.Endpoint{{Host: backendHost, Port: uint16(number)}}},
		&ir.Backend{Name: "backend", Protocol: ir.ProtocolHTTP, Endpoints: "backend"},
		&ir.Listener{Name: "bench/bench/http", Port: port, Protocol: ir.ProtocolHTTP},
	}
}

func rule(prefix string) ir.Rule {
	return ir.Rule{
		Matches: []ir.Match{{Path: ir.PathMatch{Type: ir.MatchPrefix, Value: prefix}}},
		Filters: []ir.Filter{
			{RequestHeaders: &ir.HeaderModifier{Set: []ir.NameValue{{Name: "X-Bench", Value: "1"}}}},
			{ResponseHeaders: &ir.HeaderModifier{Set: []ir.NameValue{{Name: "X-Served-By", Value: "bench"}}}},
		},
		Backends: []ir.WeightedBackend{{Backend: "backend", Weight: 1}},
		Timeouts: ir.Timeouts{Request: 30 * time.Second, Backend: 10 * time.Second},
	}
}

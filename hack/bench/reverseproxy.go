package main

import (
	"net/http"
	"net/http/httputil"
	"net/url"
	"runtime"
	"time"
)

// serveReverseProxy is the standard library's proxy, set up as well as it can be.
func serveReverseProxy(address, backend string) error {
	runtime.GOMAXPROCS(1)
	target := &url.URL{Scheme: "http", Host: backend}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.SetXForwarded()
			r.Out.Host = r.In.Host
			r.Out.Header.Set("X-Bench", "1")
		},
		ModifyResponse: func(r *http.Response) error {
			r.Header.Set("X-Served-By", "bench")
			return nil
		},
		Transport: &http.Transport{
			MaxIdleConns:        1024,
			MaxIdleConnsPerHost: 1024,
			DisableCompression:  true,
		},
	}
	server := &http.Server{Addr: address, Handler: proxy, ReadHeaderTimeout: 10 * time.Second}
	return server.ListenAndServe()
}

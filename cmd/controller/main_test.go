package main

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	corev1 "k8s.io/api/core/v1"

	"github.com/citoroute/citoroute/internal/bootstrap"
	"github.com/citoroute/citoroute/internal/infra"
)

func TestParse_WhatProxiesGet(t *testing.T) {
	s := parse([]string{
		"--proxy-image=proxy:v1", "--proxy-image-pull-policy=Never", "--gateway-service-type=NodePort",
		"--proxy-log-level=debug", "--proxy-access-log", "--issuer-networks=10.96.0.7/12, 10.244.0.0/16",
		"--proxy-otlp-endpoint=http://collector:4318", "--proxy-otlp-protocol=grpc", "--proxy-trace-ratio=0.5",
		"--proxy-otlp-metrics-endpoint=http://collector:4318", "--proxy-otlp-metrics-interval=15s",
	})
	want := infra.Options{
		Image: "proxy:v1", ImagePullPolicy: corev1.PullNever, ServiceType: corev1.ServiceTypeNodePort,
		LogLevel: "debug", AccessLog: true,
		Tracing:        bootstrap.Tracing{Endpoint: "http://collector:4318", Protocol: "grpc", Ratio: .5},
		Push:           bootstrap.Push{Endpoint: "http://collector:4318", Protocol: "grpc", Interval: bootstrap.Duration(15 * time.Second)},
		IssuerNetworks: []netip.Prefix{netip.MustParsePrefix("10.96.0.0/12"), netip.MustParsePrefix("10.244.0.0/16")},
	}
	if diff := cmp.Diff(want, s.Infra, cmpopts.EquateComparable(netip.Prefix{})); diff != "" {
		t.Error(diff)
	}
}

package observe

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

// kept is an exporter that keeps the last of what it gets.
type kept struct {
	metric.Exporter // nil: the rest is not asked for
	fails           error
	last            *metricdata.ResourceMetrics
	closed          bool
}

func (k *kept) Export(_ context.Context, m *metricdata.ResourceMetrics) error {
	k.last = m
	return k.fails
}

func (k *kept) Shutdown(context.Context) error {
	k.closed = true
	return nil
}

func within(do func(context.Context) error) error { return do(context.Background()) }

func TestPush_HasTheNamesOfTheConventions(t *testing.T) {
	k := &kept{}
	o := New(Options{Push: &Push{k, time.Hour, within}, Version: "v1"})
	o.Done(failedOver(o))
	o.Close()
	if !k.closed || testutil.ToFloat64(o.push.sent) != 1 {
		t.Errorf("closed: %v, sent: %v", k.closed, testutil.ToFloat64(o.push.sent))
	}
	if name, ok := k.last.Resource.Set().Value("service.name"); !ok || name.AsString() != "citoroute" {
		t.Errorf("service.name is %v", name)
	}
	got := map[string]string{}
	for _, m := range k.last.ScopeMetrics[0].Metrics {
		got[m.Name] = m.Unit
		if m.Name != "gen_ai.client.operation.duration" {
			continue
		}
		var points []string
		for _, p := range m.Data.(metricdata.Histogram[float64]).DataPoints {
			var attributes []string
			for _, a := range p.Attributes.ToSlice() {
				attributes = append(attributes, fmt.Sprintf("%s=%v(%s)", a.Key, a.Value.AsInterface(), a.Value.Type()))
			}
			points = append(points, fmt.Sprintf("%s: %v in %d, up to %v", strings.Join(attributes, " "), p.Sum, p.Count, p.Bounds[len(p.Bounds)-1]))
		}
		slices.Sort(points)
		want := []string{
			"error.type=429(STRING) gen_ai.operation.name=chat(STRING) gen_ai.provider.name=aws.bedrock(STRING) gen_ai.request.model=eu.claude(STRING) server.address=bedrock.test(STRING) server.port=443(INT64): 1 in 1, up to 81.92",
			"gen_ai.operation.name=chat(STRING) gen_ai.provider.name=openai(STRING) gen_ai.request.model=gpt(STRING) server.address=127.0.0.1(STRING) server.port=9090(INT64): 2 in 1, up to 81.92",
		}
		if diff := cmp.Diff(want, points); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
	}
	maps.DeleteFunc(got, func(name, _ string) bool { return !strings.HasPrefix(name, "gen_ai") })
	want := map[string]string{
		"gen_ai.client.token.usage": "{token}", "gen_ai.client.operation.duration": "s", "gen_ai.client.operation.time_to_first_chunk": "s",
		"gen_ai.client.operation.time_per_output_chunk": "s", "gen_ai.server.request.duration": "s", "gen_ai.server.time_to_first_token": "s",
		"gen_ai.server.time_per_output_token": "s",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestPush_CountsWhatFails(t *testing.T) {
	k := &kept{fails: errors.New("no collector")}
	o := New(Options{Push: &Push{k, time.Hour, within}})
	o.Close()
	if n := testutil.ToFloat64(o.push.failed); n != 1 || !k.closed {
		t.Errorf("%v failed, closed: %v", n, k.closed)
	}
}

func TestNewPush_SaysWhatIsWrong(t *testing.T) {
	for name, c := range map[string]struct {
		endpoint, protocol string
		interval           time.Duration
		ok                 bool
	}{
		"HTTP":     {"http://collector:4318", "", 0, true},
		"GRPC":     {"https://collector:4317", "grpc", time.Second, true},
		"NoURL":    {"collector:4318", "", 0, false},
		"JSON":     {"http://collector:4318", "http/json", 0, false},
		"TooOften": {"http://collector:4318", "", time.Millisecond, false},
		"Negative": {"http://collector:4318", "", -time.Second, false},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := NewPush(t.Context(), c.endpoint, c.protocol, c.interval); (err == nil) != c.ok {
				t.Errorf("%v", err)
			}
		})
	}
}

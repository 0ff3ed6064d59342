package standalone

import (
	"context"
	"io"
	"net/http"
	"sync"
	"testing"
	"time"

	collectorpb "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	metricspb "go.opentelemetry.io/proto/otlp/metrics/v1"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/citoroute/citoroute/internal/proxy/observe"
)

// metricsCollector is an OTLP receiver of metrics of both protocols.
type metricsCollector struct {
	collectorpb.UnimplementedMetricsServiceServer
	http, grpc string // base URLs

	mu   sync.Mutex
	last map[string]*metricspb.Metric // by name
}

func newMetricsCollector(t *testing.T) *metricsCollector {
	t.Helper()
	c := &metricsCollector{}
	c.http, c.grpc = serveOTLP(t, c, func(s *grpc.Server) { collectorpb.RegisterMetricsServiceServer(s, c) })
	return c
}

// Export is the receiver of the protocol grpc.
func (c *metricsCollector) Export(_ context.Context, r *collectorpb.ExportMetricsServiceRequest) (*collectorpb.ExportMetricsServiceResponse, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last = map[string]*metricspb.Metric{}
	for _, resource := range r.GetResourceMetrics() {
		for _, scope := range resource.GetScopeMetrics() {
			for _, m := range scope.GetMetrics() {
				c.last[m.GetName()] = m
			}
		}
	}
	return &collectorpb.ExportMetricsServiceResponse{}, nil
}

// ServeHTTP is the receiver of http/protobuf.
func (c *metricsCollector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b, err := io.ReadAll(r.Body)
	var in collectorpb.ExportMetricsServiceRequest
	if err == nil {
		err = proto.Unmarshal(b, &in)
	}
	if err == nil && r.URL.Path == "/v1/metrics" {
		_, err = c.Export(r.Context(), &in)
	}
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
	}
}

func TestPush_ReachesTheCollector(t *testing.T) {
	for _, protocol := range []string{observe.ProtocolHTTP, observe.ProtocolGRPC} {
		t.Run(protocol, func(t *testing.T) {
			c := newMetricsCollector(t)
			endpoint := c.http
			if protocol == observe.ProtocolGRPC {
				endpoint = c.grpc
			}
			push, err := observe.NewPush(t.Context(), endpoint, protocol, time.Hour)
			if err != nil {
				t.Fatal(err)
			}
			o := newObserved(t, observe.Options{Push: push})
			for range 3 {
				o.send(8080, http.MethodPost, "http://localhost/anthropic/v1/chat/completions", map[string]string{"Content-Type": "application/json"},
					`{"model":"m","messages":[{"role":"user","content":"hello"}]}`)
			}
			o.settled(3) // the last push is at the end
			points := c.last["citoroute_llm_requests_total"].GetSum().GetDataPoints()
			if len(points) != 1 || points[0].GetAsDouble() != 3 {
				t.Errorf("requests: %v", points)
			}
			durations := c.last["gen_ai.client.operation.duration"].GetHistogram().GetDataPoints()
			if len(durations) != 1 || durations[0].GetCount() != 3 {
				t.Errorf("durations: %v", durations)
			}
			if n := total(t, o.opts.Observe.Registry(), "citoroute_metrics_pushes_total", "result")["sent"]; n != 1 {
				t.Errorf("%v pushes counted", n)
			}
		})
	}
}

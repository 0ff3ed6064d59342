package observe

import (
	"errors"
	"math"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"

	"github.com/citoroute/citoroute/internal/proxy/trace"
)

func TestSpans_NeverBlock(t *testing.T) {
	release := make(chan struct{})
	dead := &Tracing{
		upload: func([]*tracepb.ResourceSpans) error {
			<-release
			return errors.New("no collector")
		},
		stop: func() {}, sampler: trace.NewSampler(1),
	}
	o := New(Options{Tracing: dead})
	rec := failedOver(o)
	rec.Trace = trace.Trace{ID: trace.ID{1}, Own: trace.Span{2}, Sampled: true}
	const exchanges = spanBacklog
	for range exchanges {
		o.Done(rec)
	}
	if lost := testutil.ToFloat64(o.spans.dropped); lost < exchanges {
		t.Errorf("%v of %d spans were dropped at once", lost, 3*exchanges)
	}
	close(release)
	o.Close()
	if lost := testutil.ToFloat64(o.spans.dropped); lost != 3*exchanges {
		t.Errorf("%v of %d spans are accounted for", lost, 3*exchanges)
	}
}

func TestNewTracing_SaysWhatIsWrong(t *testing.T) {
	for name, c := range map[string]struct {
		endpoint, protocol string
		ratio              float64
		ok                 bool
	}{
		"HTTP":          {"http://collector:4318", "", 0.01, true},
		"GRPC":          {"https://collector:4317", "grpc", 1, true},
		"NoScheme":      {"collector:4318", "", 0, false},
		"NoURL":         {":", "", 0, false},
		"JSON":          {"http://collector:4318", "http/json", 0, false},
		"RatioTooLarge": {"http://collector:4318", "", 1.5, false},
		"RatioNaN":      {"http://collector:4318", "", math.NaN(), false},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := NewTracing(t.Context(), c.endpoint, c.protocol, c.ratio); (err == nil) != c.ok {
				t.Errorf("%v", err)
			}
		})
	}
}

func BenchmarkSpansOf(b *testing.B) {
	rec := failedOver(New(Options{}))
	b.ReportAllocs()
	for b.Loop() {
		spansOf(rec)
	}
}

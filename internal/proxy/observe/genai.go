package observe

import (
	"net"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/citoroute/citoroute/internal/ai"
	"github.com/citoroute/citoroute/internal/proxy/runtime"
)

// genAI are the metrics of OpenTelemetry's semantic conventions for generative
// AI, as Prometheus names them. The client's are of each attempt at a provider,
// whose client the gateway is; the server's are of whole requests, as the
// gateway's own clients see them.
type genAI struct {
	tokens, operation, firstChunk     *prometheus.HistogramVec
	served, firstToken, timePerOutput *prometheus.HistogramVec
	pieces                            *paceVec
	attempts, requests                recent[genAIKey, *genAISeries]
	// names are those of the conventions, by those of Prometheus.
	names map[string]string
}

// genAIKey holds the attributes. Route and consumer are not among them: the
// conventions have no such attributes, and histograms are large.
type genAIKey struct {
	operation, provider, model, host, kind string
	tls                                    bool
}

// genAISeries are the histograms of one key; nil until there is something to
// observe.
type genAISeries struct {
	duration, input, output, first, perOutput prometheus.Observer
	pieces                                    *paceSeries
}

// The bucket boundaries of the conventions.
func tokenBuckets() []float64 { return prometheus.ExponentialBuckets(1, 4, 14) }

func durationBuckets() []float64 { return prometheus.ExponentialBuckets(.01, 2, 14) }

func firstTokenBuckets() []float64 {
	return []float64{.001, .005, .01, .02, .04, .06, .08, .1, .25, .5, .75, 1, 2.5, 5, 7.5, 10}
}

func perTokenBuckets() []float64 {
	return []float64{.01, .025, .05, .075, .1, .15, .2, .3, .4, .5, .75, 1, 2.5}
}

// inSeconds ends Prometheus's name of what is measured in seconds.
const inSeconds = "_seconds"

func newGenAI(r prometheus.Registerer) genAI {
	g := genAI{names: make(map[string]string)}
	named := func(name, unit string) string {
		out := strings.ReplaceAll(name, ".", "_") + unit
		g.names[out] = name
		return out
	}
	labels := []string{"gen_ai_operation_name", "gen_ai_provider_name", "gen_ai_request_model"}
	histogram := func(name, help string, buckets []float64, more ...string) *prometheus.HistogramVec {
		v := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets}, append(slices.Clip(labels), more...))
		r.MustRegister(v)
		return v
	}
	const address, port, failed = "server_address", "server_port", "error_type"
	g.tokens = histogram(named("gen_ai.client.token.usage", ""), "Tokens that an attempt at a provider used.",
		tokenBuckets(), address, port, "gen_ai_token_type")
	g.operation = histogram(named("gen_ai.client.operation.duration", inSeconds), "Time of an attempt at a provider.",
		durationBuckets(), address, port, failed)
	g.firstChunk = histogram(named("gen_ai.client.operation.time_to_first_chunk", inSeconds), "Time to the first content of a provider's stream.",
		durationBuckets(), address, port)
	g.pieces = newPaceVec(r, named("gen_ai.client.operation.time_per_output_chunk", inSeconds),
		"Time from one piece of content of a provider's stream to the next.", append(slices.Clip(labels), address, port)...)
	g.served = histogram(named("gen_ai.server.request.duration", inSeconds), "Time of a request, with all its attempts.",
		durationBuckets(), failed)
	g.firstToken = histogram(named("gen_ai.server.time_to_first_token", inSeconds), "Time to the first content of a stream that ended well.",
		firstTokenBuckets())
	g.timePerOutput = histogram(named("gen_ai.server.time_per_output_token", inSeconds), "Time per token after the first one of a stream that ended well.",
		perTokenBuckets())
	return g
}

// attempt observes one attempt at a provider.
func (g *genAI) attempt(rec *runtime.LLMRecord, a *runtime.LLMAttempt, model, kind string) {
	k := genAIKey{operationOf(rec.Protocol), providerName(a.Provider), model, a.Host, kind, a.TLS}
	s, ok := g.attempts.get(k)
	bind := func(to *prometheus.Observer, v *prometheus.HistogramVec, more ...string) prometheus.Observer {
		if *to == nil {
			address, port := splitHost(k.host, k.tls)
			*to = v.WithLabelValues(append([]string{k.operation, k.provider, k.model, address, port}, more...)...)
		}
		return *to
	}
	if !ok {
		s = new(genAISeries)
		g.attempts.put(k, s)
	}
	bind(&s.duration, g.operation, kind).Observe(a.Duration.Seconds())
	if a.FirstContent > 0 {
		bind(&s.first, g.firstChunk).Observe(a.FirstContent.Seconds())
	}
	if a.Pace.Sum > 0 {
		if s.pieces == nil {
			address, port := splitHost(k.host, k.tls)
			s.pieces = g.pieces.with(k.operation, k.provider, k.model, address, port)
		}
		s.pieces.add(&a.Pace)
	}
	if !a.Counted {
		return
	}
	bind(&s.input, g.tokens, tokenType(inputTokens)).Observe(float64(a.Usage.Prompt))
	if a.Usage.Completion > 0 {
		bind(&s.output, g.tokens, tokenType(outputTokens)).Observe(float64(a.Usage.Completion))
	}
}

// request observes a whole request; provider and model are of its last attempt.
func (g *genAI) request(rec *runtime.Record, provider, model, kind string) {
	k := genAIKey{operation: operationOf(rec.LLM.Protocol), provider: providerName(provider), model: model, kind: kind}
	s, ok := g.requests.get(k)
	if !ok {
		s = &genAISeries{duration: g.served.WithLabelValues(k.operation, k.provider, k.model, kind)}
		g.requests.put(k, s)
	}
	s.duration.Observe(rec.Duration.Seconds())
	first := firstContent(rec)
	if kind != "" || first == 0 {
		return
	}
	if s.first == nil {
		s.first = g.firstToken.WithLabelValues(k.operation, k.provider, k.model)
		s.perOutput = g.timePerOutput.WithLabelValues(k.operation, k.provider, k.model)
	}
	s.first.Observe(first.Seconds())
	last := rec.LLM.Attempts[len(rec.LLM.Attempts)-1]
	if n := last.Usage.Completion; last.Counted && n > 1 {
		s.perOutput.Observe((rec.Duration - first).Seconds() / float64(n-1))
	}
}

// firstContent is how long the client waited for the first content of its
// stream; 0: it got none.
func firstContent(rec *runtime.Record) time.Duration {
	if rec.LLM == nil || len(rec.LLM.Attempts) == 0 {
		return 0
	}
	last := &rec.LLM.Attempts[len(rec.LLM.Attempts)-1]
	if last.FirstContent == 0 {
		return 0
	}
	return last.Start.Add(last.FirstContent).Sub(rec.Start)
}

// operationOf is gen_ai.operation.name.
func operationOf(p ai.Protocol) string {
	if p == ai.Embeddings {
		return "embeddings"
	}
	return "chat"
}

// providerName is gen_ai.provider.name.
func providerName(provider string) string {
	if ai.Provider(provider) == ai.Bedrock {
		return "aws.bedrock"
	}
	return provider
}

// splitHost returns server.address and server.port of an authority.
func splitHost(authority string, tls bool) (address, port string) {
	if address, port, err := net.SplitHostPort(authority); err == nil {
		return address, port
	}
	if port = "80"; tls {
		port = "443"
	}
	return strings.Trim(authority, "[]"), port
}

package observe

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/citoroute/citoroute/internal/proxy/trace"
)

// described are the attributes of the span of the attempt at index i.
func described(o *Observer, i int) map[string]string {
	rec := failedOver(o)
	rec.Trace = trace.Trace{ID: trace.ID{1}, Own: trace.Span{2}, Sampled: true}
	out := map[string]string{}
	for _, a := range spansOf(rec)[i+1].GetAttributes() {
		_, value, _ := strings.Cut(strings.ReplaceAll(a.GetValue().String(), "  ", " "), ":")
		out[a.GetKey()] = value
	}
	return out
}

func TestAttemptSpan_FollowsTheConventions(t *testing.T) {
	o := New(Options{})
	refused := map[string]string{
		"gen_ai.operation.name": `"chat"`, "gen_ai.provider.name": `"aws.bedrock"`, "gen_ai.request.model": `"eu.claude"`, "gen_ai.request.stream": "true",
		"server.address": `"bedrock.test"`, "server.port": "443", "http.response.status_code": "429", "error.type": `"429"`, "citoroute.backend": `"b1"`,
	}
	if diff := cmp.Diff(refused, described(o, 0)); diff != "" {
		t.Errorf("refused: -want +got:\n%s", diff)
	}
	answered := map[string]string{
		"gen_ai.operation.name": `"chat"`, "gen_ai.provider.name": `"openai"`, "gen_ai.request.model": `"gpt"`, "gen_ai.request.stream": "true",
		"server.address": `"127.0.0.1"`, "server.port": "9090", "http.response.status_code": "200", "citoroute.backend": `"b2"`,
		"gen_ai.response.id": `"chatcmpl-1"`, "gen_ai.response.model": `"gpt-2026"`, "gen_ai.response.time_to_first_chunk": "0.5",
		"gen_ai.response.finish_reasons": `{values:{string_value:"stop"} values:{string_value:"tool_calls"}}`,
		"gen_ai.usage.input_tokens":      "100", "gen_ai.usage.output_tokens": "16", "gen_ai.usage.cache_read.input_tokens": "60",
		"gen_ai.usage.cache_creation.input_tokens": "5", "gen_ai.usage.reasoning.output_tokens": "4",
	}
	if diff := cmp.Diff(answered, described(o, 1)); diff != "" {
		t.Errorf("answered: -want +got:\n%s", diff)
	}
}

func TestSplitHost(t *testing.T) {
	for authority, want := range map[string][3]string{ // address, port, port with TLS
		"api.test":      {"api.test", "80", "443"},
		"api.test:8080": {"api.test", "8080", "8080"},
		"[::1]":         {"::1", "80", "443"},
		"[::1]:1":       {"::1", "1", "1"},
	} {
		address, port := splitHost(authority, false)
		_, secure := splitHost(authority, true)
		if got := [3]string{address, port, secure}; got != want {
			t.Errorf("%s: %v, want %v", authority, got, want)
		}
	}
}

// Two endings of the same model share one histogram, as the labels do not tell
// them apart.
func TestPace_IsOneHistogramPerLabels(t *testing.T) {
	o := New(Options{})
	o.Done(failedOver(o))
	rec := failedOver(o)
	rec.LLM.Attempts[1].Err = errors.New("broken")
	o.Done(rec)
	want := `
# HELP gen_ai_client_operation_time_per_output_chunk_seconds Time from one piece of content of a provider's stream to the next.
# TYPE gen_ai_client_operation_time_per_output_chunk_seconds histogram
`
	labels := `gen_ai_operation_name="chat",gen_ai_provider_name="openai",gen_ai_request_model="gpt",server_address="127.0.0.1",server_port="9090"`
	name := "gen_ai_client_operation_time_per_output_chunk_seconds"
	for i, le := range []string{"0.01", "0.02", "0.04", "0.08", "0.16", "0.32", "0.64", "1.28", "2.56", "5.12", "10.24", "20.48", "40.96", "81.92", "+Inf"} {
		n := [15]string{"2", "2", "6", "6", "6", "6", "6", "6", "6", "6", "6", "6", "6", "6", "8"}[i]
		want += name + "_bucket{" + labels + `,le="` + le + `"} ` + n + "\n"
	}
	want += name + "_sum{" + labels + "} 180\n" + name + "_count{" + labels + "} 8\n"
	if err := testutil.GatherAndCompare(o.Registry(), strings.NewReader(want), name); err != nil {
		t.Error(err)
	}
}

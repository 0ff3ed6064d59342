package observe

import (
	"errors"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/citoroute/citoroute/internal/ir"
	"github.com/citoroute/citoroute/internal/proxy/limit"
)

func TestCountLLM_Limits(t *testing.T) {
	o := New(Options{})
	rec := failedOver(o)
	rec.LLM.Attempts, rec.Status = nil, 429
	rec.LLM.Limited = &limit.Limit{Policy: "ns/team", Name: "rpm"}
	o.Done(rec)
	rec.LLM.Limited, rec.LLM.LimitErr = nil, errors.New("gone")
	o.Done(rec)
	want := `
# HELP citoroute_llm_limit_store_failures_total Requests to LLM routes whose limits could not be checked, or not settled.
# TYPE citoroute_llm_limit_store_failures_total counter
citoroute_llm_limit_store_failures_total{listener="ns/gw/http",route="HTTPRoute/ns/chat"} 1
# HELP citoroute_llm_limited_total Requests to LLM routes that a limit has refused.
# TYPE citoroute_llm_limited_total counter
citoroute_llm_limited_total{consumer="ns/team-alpha",limit="rpm",listener="ns/gw/http",policy="ns/team",route="HTTPRoute/ns/chat"} 1
`
	names := []string{"citoroute_llm_limit_store_failures_total", "citoroute_llm_limited_total"}
	if err := testutil.GatherAndCompare(o.Registry(), strings.NewReader(want), names...); err != nil {
		t.Error(err)
	}
	if line := string(appendLine(nil, rec)); !strings.Contains(line, `"limitError":"gone"`) {
		t.Errorf("the access log says nothing of the loss: %s", line)
	}
	o.Applied([]ir.Ref{{Type: ir.TypeRoute, Name: rec.Route.Name}})
	if n, err := testutil.GatherAndCount(o.Registry(), names...); n != 0 || err != nil {
		t.Errorf("%d series of a route that is gone, %v", n, err)
	}
}

package insights

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// leader, to the end (ALL), keeps the alert silent that no controller leads.
const leader = `leader_election_master_status{name="controller.citoroute.io",pod="c-0"} 1xALL
leader_election_master_status{name="controller.citoroute.io",pod="c-1"} 0xALL
`

// TestAlerts has each alert fire once, alone, and be silent just before it should.
func TestAlerts(t *testing.T) {
	rules := rules(t)
	for name, c := range map[string]struct {
		series string
		at     time.Duration
		want   []string
	}{
		"Healthy": {at: 7 * time.Hour, series: leader + `
citoroute_http_requests_total{listener="shop/web/http",code_class="2xx",pod="p"} 0+1000xALL
citoroute_http_requests_total{listener="shop/web/http",code_class="5xx",pod="p"} 0+1xALL
citoroute_certificate_expiry_timestamp_seconds{kind="Secret",namespace="shop",name="cert",use="listener"} 2000000xALL
citoroute_controller_rejecting_nodes{namespace="citoroute-system",pod="c-0"} 0xALL
citoroute_config_stream_connected{namespace="shop",pod="p"} 1xALL
citoroute_controller_acknowledgement_lag_seconds{namespace="citoroute-system",pod="c-0"} 5xALL
controller_runtime_reconcile_errors_total{controller="gateway",job="citoroute-controller-metrics"} 3xALL
citoroute_llm_backend_paused_models{backend="llm/a/gpt"} 0xALL
citoroute_client_connections{namespace="shop",pod="p",port="80"} 700xALL
citoroute_client_connections_limit{namespace="shop",pod="p"} 1000xALL
`},

		"BudgetBurns": {at: time.Hour, series: leader + `
citoroute_http_requests_total{listener="shop/web/http",code_class="2xx",pod="p"} 0+900x60
citoroute_http_requests_total{listener="shop/web/https",code_class="2xx",pod="q"} 0+80x60
citoroute_http_requests_total{listener="shop/web/https",code_class="5xx",pod="q"} 0+20x60
citoroute_http_requests_total{listener="shop/api/http",code_class="2xx",pod="r"} 0+1000x60
citoroute_http_requests_total{listener="shop/api/http",code_class="5xx",pod="r"} 0+5x60
`, want: []string{`CitoRouteErrorBudgetBurnSlow{gateway="shop/web"}`, `CitoRouteErrorBudgetBurn{gateway="shop/web"}`}},
		"BudgetBurnsSlowly": {at: 7 * time.Hour, series: leader + `
citoroute_http_requests_total{listener="mesh/shop/cart/80",code_class="2xx"} 0+1000x420
citoroute_http_requests_total{listener="mesh/shop/cart/80",code_class="5xx"} 0+8x420
`, want: []string{`CitoRouteErrorBudgetBurnSlow{gateway="mesh/shop/cart"}`}},
		"BudgetBurnsNoMore": {at: 80 * time.Minute, series: leader + `
citoroute_http_requests_total{listener="shop/web/http",code_class="2xx"} 0+900x80
citoroute_http_requests_total{listener="shop/web/http",code_class="5xx"} 0+100x40 4000x40
`},
		"AFailureNowAndThen": {at: time.Hour, series: leader + `
citoroute_http_requests_total{listener="shop/web/http",code_class="2xx"} 0+1x60
citoroute_http_requests_total{listener="shop/web/http",code_class="5xx"} 0x55 1 2 3 4 5
`},

		"CertificateInTwoWeeks": {at: time.Hour, series: leader + `
citoroute_certificate_expiry_timestamp_seconds{kind="Secret",namespace="shop",name="cert",use="listener",pod="p"} 1213199x60
citoroute_certificate_expiry_timestamp_seconds{kind="Secret",namespace="shop",name="cert",use="listener",pod="q"} 1213199x60
citoroute_certificate_expiry_timestamp_seconds{kind="Secret",namespace="shop",name="later",use="listener",pod="q"} 1213201x60
`, want: []string{`CitoRouteCertificateExpiresSoon{kind="Secret", name="cert", namespace="shop", use="listener"}`}},
		"CertificateInThreeDays": {at: time.Hour, series: leader + `
citoroute_certificate_expiry_timestamp_seconds{kind="ConfigMap",namespace="shop",name="ca",use="backend_authority"} 262799x60
citoroute_certificate_expiry_timestamp_seconds{kind="Secret",namespace="shop",name="later",use="listener"} 262801x60
`, want: []string{
			`CitoRouteCertificateExpiresSoon{kind="ConfigMap", name="ca", namespace="shop", use="backend_authority"}`,
			`CitoRouteCertificateExpiresSoon{kind="Secret", name="later", namespace="shop", use="listener"}`,
			`CitoRouteCertificateExpires{kind="ConfigMap", name="ca", namespace="shop", use="backend_authority"}`,
		}},
		"CertificateRenewed": {at: time.Hour, series: leader + `
citoroute_certificate_expiry_timestamp_seconds{kind="Secret",namespace="shop",name="cert",use="listener"} 100x30 9000000x30
`},

		"Panic": {at: time.Hour, series: leader + `
citoroute_panics_total{namespace="shop",pod="p"} 0x55 1x5
citoroute_panics_total{namespace="shop",pod="q"} 0x40 3x20
`, want: []string{`CitoRoutePanic{namespace="shop", pod="p"}`}},
		"Refused": {at: time.Hour, series: leader + `
citoroute_controller_rejecting_nodes{namespace="citoroute-system",pod="c-0"} 2x60
citoroute_controller_rejecting_nodes{namespace="citoroute-system",pod="c-1"} 0x60
`, want: []string{`CitoRouteConfigurationRefused{namespace="citoroute-system", pod="c-0"}`}},
		"Disconnected": {at: time.Hour, series: leader + `
citoroute_config_stream_connected{namespace="shop",pod="p"} 1x40 0x20
citoroute_config_stream_connected{namespace="shop",pod="q"} 1x60
citoroute_config_stream_connected{namespace="api",pod="r"} 1x55 0x5
`, want: []string{`CitoRouteConfigurationStale{namespace="shop"}`}},
		"Unanswered": {at: time.Hour, series: leader + `
citoroute_controller_acknowledgement_lag_seconds{namespace="citoroute-system",pod="c-0"} 61x60
`, want: []string{`CitoRouteConfigurationStale{namespace="citoroute-system"}`}},

		"NobodyThere":  {at: time.Hour, want: []string{`CitoRouteControllerAbsent{}`}},
		"NobodyLeads":  {at: time.Hour, series: `leader_election_master_status{name="controller.citoroute.io",pod="c-0"} 0x60`, want: []string{`CitoRouteControllerAbsent{}`}},
		"AnotherLeads": {at: time.Hour, series: `leader_election_master_status{name="other",pod="c-0"} 1x60`, want: []string{`CitoRouteControllerAbsent{}`}},
		"CannotWrite": {at: time.Hour, series: leader + `
controller_runtime_reconcile_errors_total{controller="status",job="citoroute-controller-metrics"} 0+1x60
controller_runtime_reconcile_errors_total{controller="status",job="other"} 0+1x60
`, want: []string{`CitoRouteReconcileErrors{controller="status"}`}},

		"ProviderPaused": {at: time.Hour, series: leader + `
citoroute_llm_backend_paused_models{backend="llm/a/claude",pod="p"} 2x44 2 2 0 2 1 1 0 1 1 1 0 1 1 1 1 1
citoroute_llm_backend_paused_models{backend="llm/a/claude",pod="q"} 0x60
citoroute_llm_backend_paused_models{backend="llm/a/gpt",pod="p"} 0x55 3 3 3 3 3
`, want: []string{`CitoRouteLLMBackendPaused{backend="llm/a/claude"}`}},
		"Crowded": {at: time.Hour, series: leader + `
citoroute_client_connections{namespace="shop",pod="p",port="80"} 500x60
citoroute_client_connections{namespace="shop",pod="p",port="443"} 301x60
citoroute_client_connections_limit{namespace="shop",pod="p"} 1000x60
citoroute_client_connections{namespace="shop",pod="q",port="80"} 801x60
citoroute_client_connections_limit{namespace="shop",pod="q"} 2000x60
`, want: []string{`CitoRouteConnectionsNearLimit{namespace="shop", pod="p"}`}},
		"CrowdedBehind": {at: time.Hour, series: leader + `
citoroute_backend_connections{namespace="shop",pod="p"} 801x60
citoroute_backend_connections_limit{namespace="shop",pod="p"} 1000x60
citoroute_backend_connections{namespace="shop",pod="q"} 799x60
citoroute_backend_connections_limit{namespace="shop",pod="q"} 1000x60
`, want: []string{`CitoRouteConnectionsNearLimit{namespace="shop", pod="p"}`}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, firing(t, rules, c.series, c.at), cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("-want +firing:\n%s", diff)
			}
		})
	}
}

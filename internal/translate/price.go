package translate

import (
	"fmt"
	"strconv"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/citoroute/citoroute/api/v1alpha1"
	"github.com/citoroute/citoroute/internal/ir"
)

// resolvePrices translates the prices of a table. One that cannot be read is
// left out, so that what it is for has no price.
func resolvePrices(table *v1alpha1.LLMPriceTable) (ir.PriceTable, []Finding) {
	var out ir.PriceTable
	var findings []Finding
	for i, p := range table.Spec.Prices {
		price := ir.Price{Provider: strings.ToLower(string(p.Provider)), Model: p.Model}
		var bad string
		for _, part := range []struct {
			field string
			value v1alpha1.Price
			to    *int64
		}{
			{"input", p.Input, &price.Input},
			{"cachedInput", deref(p.CachedInput, p.Input), &price.CachedInput},
			{"cacheWrite", deref(p.CacheWrite, p.Input), &price.CacheWrite},
			{"output", p.Output, &price.Output},
		} {
			nano, ok := nanoDollars(string(part.value))
			if *part.to = nano; !ok && bad == "" {
				bad = fmt.Sprintf("spec.prices[%d].%s: %q is not a price such as \"2.50\"", i, part.field, short(string(part.value)))
			}
		}
		if bad != "" {
			findings = append(findings, Finding{Condition: v1alpha1.ConditionAccepted, Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonInvalid, Message: bad})
			continue
		}
		out.Prices = append(out.Prices, price)
	}
	return out, findings
}

// nanoDollars converts an amount of dollars to nano-dollars, exactly.
func nanoDollars(s string) (nano int64, ok bool) {
	const places = 9
	whole, fraction, _ := strings.Cut(s, ".")
	if whole == "" || len(whole) > 6 || len(fraction) > places || strings.HasSuffix(s, ".") {
		return 0, false
	}
	n, err := strconv.ParseUint(whole+fraction+strings.Repeat("0", places-len(fraction)), 10, 63)
	return int64(n), err == nil
}

// priceResource translates an LLMPriceTable.
func priceResource(r Reader, key Key) *ir.Policy {
	out := &ir.Policy{Name: objectName(prefixPrices, key), Source: sourceOf(key), Prices: &ir.PriceTable{}}
	if table := get[v1alpha1.LLMPriceTable](r, key); table != nil {
		*out.Prices, _ = resolvePrices(table)
	}
	return out
}

// reportPrices reports on an LLMPriceTable for each of its targets.
func reportPrices(r Reader, key Key, table *v1alpha1.LLMPriceTable) Report {
	_, findings := resolvePrices(table)
	return reportTargets(r, table, findings, func(target Key, section, field string) *Finding {
		winner := llmPolicies[*v1alpha1.LLMPriceTable](r, target, section)[0]
		if winner.Name == key.Name {
			return nil
		}
		return notAccepted(string(gatewayv1.PolicyReasonConflicted),
			fmt.Sprintf("%s: LLMPriceTable %s/%s is older and targets the same; delete one", field, winner.Namespace, winner.Name))
	})
}

package status

import (
	"cmp"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/citoroute/citoroute/internal/translate"
)

// maxMessage is the limit of a condition's message in bytes; the API server
// allows 32768.
const maxMessage = 4096

// condition is what a condition is without findings.
type condition struct {
	kind    string
	status  metav1.ConditionStatus
	reason  string
	message string
}

// isTrue is the default of a positive condition, whose reason is mostly named
// like itself.
func isTrue(kind, reason string) condition {
	return condition{kind: kind, status: metav1.ConditionTrue, reason: reason}
}

// clock says when and for which generation conditions are computed.
type clock struct {
	now        metav1.Time
	generation int64
}

// conditions returns the new conditions of a list: defaults with findings over
// them, and what others have put there. Types in extra are ours too: they have
// no default and are there only while there is a finding.
func (c clock) conditions(old []metav1.Condition, defaults []condition, extra []string, findings []translate.Finding) []metav1.Condition {
	ours := slices.Clone(extra)
	var out []metav1.Condition
	for _, d := range defaults {
		ours = append(ours, d.kind)
		out = append(out, c.condition(old, override(d, findings)))
	}
	for _, kind := range extra {
		if d := override(condition{kind: kind}, findings); d.status != "" {
			out = append(out, c.condition(old, d))
		}
	}
	out = append(out, foreign(old, ours)...)
	slices.SortStableFunc(out, func(a, b metav1.Condition) int { return cmp.Compare(a.Type, b.Type) })
	return out
}

// foreign returns the conditions of others: those of no type in ours.
func foreign(old []metav1.Condition, ours []string) []metav1.Condition {
	return slices.DeleteFunc(slices.Clone(old), func(o metav1.Condition) bool { return slices.Contains(ours, o.Type) })
}

// condition makes a condition; its transition time is kept if its status is.
func (c clock) condition(old []metav1.Condition, d condition) metav1.Condition {
	out := metav1.Condition{
		Type: d.kind, Status: d.status, ObservedGeneration: c.generation,
		LastTransitionTime: c.now, Reason: d.reason, Message: d.message,
	}
	for _, o := range old {
		if o.Type == out.Type && o.Status == out.Status {
			out.LastTransitionTime = o.LastTransitionTime
		}
	}
	return out
}

// override lays findings over a default. Findings that contradict it go before
// those that do not; of several, the first gives the reason and all the message.
func override(d condition, findings []translate.Finding) condition {
	use := decisive(d, findings)
	if len(use) == 0 {
		return d
	}
	var messages []string
	for _, f := range use {
		if f.Message != "" && !slices.Contains(messages, f.Message) {
			messages = append(messages, f.Message)
		}
	}
	d.status, d.reason, d.message = use[0].Status, use[0].Reason, strings.Join(messages, "; ")
	if len(d.message) > maxMessage {
		d.message = strings.ToValidUTF8(d.message[:maxMessage], "") + "…"
	}
	return d
}

// decisive returns the findings on a condition that contradict its default or,
// where none does, all of them.
func decisive(d condition, findings []translate.Finding) []translate.Finding {
	var differ, agree []translate.Finding
	for _, f := range findings {
		switch {
		case f.Condition != d.kind:
		case f.Status != d.status:
			differ = append(differ, f)
		default:
			agree = append(agree, f)
		}
	}
	if len(differ) > 0 {
		return differ
	}
	return agree
}

// about returns the findings that are about an object itself (section empty) or
// one of its listeners.
func about(findings []translate.Finding, section string) []translate.Finding {
	var out []translate.Finding
	for _, f := range findings {
		if f.Section == section && f.Parent == nil {
			out = append(out, f)
		}
	}
	return out
}

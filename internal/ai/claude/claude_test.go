package claude

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestAbilitiesOf has the models at which an ability begins or ends, in each form
// that a name may have.
func TestAbilitiesOf(t *testing.T) {
	fourFive := Abilities{Claude: true, OneSampling: true, Schema: true, StrictTools: true, CachePoints: true, HourCache: true}
	fourSix, newest := fourFive, fourFive
	fourSix.Effort, fourSix.MaxEffort, fourSix.Adaptive = true, true, true
	newest.NoSampling, newest.Effort, newest.MaxEffort, newest.XHighEffort, newest.Adaptive = true, true, true, true, true
	loose, opusFourFive := newest, fourFive
	loose.StrictTools, opusFourFive.Effort = false, true
	for model, want := range map[string]Abilities{
		"gpt-5":                            {},
		"claude-3-haiku-20240307":          {Claude: true, NoThinking: true},
		"claude-3-5-haiku@20241022":        {Claude: true, NoThinking: true, CachePoints: true},
		"claude-3-5-sonnet-20241022":       {Claude: true, NoThinking: true},
		"claude-3-7-sonnet-20250219":       {Claude: true, CachePoints: true},
		"claude-sonnet-4-20250514":         {Claude: true, CachePoints: true},
		"claude-opus-4-0":                  {Claude: true, CachePoints: true},
		"claude-opus-4-1-20250805":         {Claude: true, OneSampling: true, Schema: true, CachePoints: true},
		"claude-sonnet-4-5-20250929":       fourFive,
		"claude-haiku-4-5":                 fourFive,
		"anthropic.claude-opus-4-5-v1:0":   opusFourFive,
		"us.anthropic.claude-sonnet-4-6":   fourSix,
		"claude-opus-4-6":                  fourSix,
		"global.anthropic.claude-opus-4-7": loose,
		"claude-opus-4-8":                  loose,
		"claude-sonnet-5":                  loose,
		"claude-opus-5":                    newest,
		"claude-next":                      newest,
	} {
		if diff := cmp.Diff(want, AbilitiesOf(model)); diff != "" {
			t.Errorf("%s: -want +got:\n%s", model, diff)
		}
	}
}

package controller

import "testing"

func TestContains(t *testing.T) {
	want := map[string]any{
		"name": "web", "replicas": float64(2), "labels": map[string]any{"a": "1"},
		"ports": []any{map[string]any{"port": float64(80)}}, "emptyDir": map[string]any{},
	}
	for name, c := range map[string]struct {
		change func(has map[string]any)
		want   bool
	}{
		"Same":            {func(map[string]any) {}, true},
		"DefaultsAdded":   {func(has map[string]any) { has["type"] = "x"; has["labels"].(map[string]any)["b"] = "2" }, true},
		"IntegerAsFloat":  {func(has map[string]any) { has["replicas"] = float64(2) }, true},
		"EmptyLeftOut":    {func(has map[string]any) { delete(has, "emptyDir") }, true},
		"ValueChanged":    {func(has map[string]any) { has["name"] = "other" }, false},
		"NumberChanged":   {func(has map[string]any) { has["replicas"] = int64(3) }, false},
		"KeyGone":         {func(has map[string]any) { delete(has["labels"].(map[string]any), "a") }, false},
		"ListItemAdded":   {func(has map[string]any) { has["ports"] = append(has["ports"].([]any), map[string]any{}) }, false},
		"ListItemChanged": {func(has map[string]any) { has["ports"].([]any)[0] = map[string]any{"port": int64(81)} }, false},
		"OtherType":       {func(has map[string]any) { has["labels"] = "a" }, false},
		"ListGone":        {func(has map[string]any) { delete(has, "ports") }, false},
	} {
		t.Run(name, func(t *testing.T) {
			has := map[string]any{
				"name": "web", "replicas": int64(2), "labels": map[string]any{"a": "1"},
				"ports":    []any{map[string]any{"port": int64(80), "protocol": "TCP"}},
				"emptyDir": map[string]any{},
			}
			c.change(has)
			if got := contains(has, want); got != c.want {
				t.Errorf("contains(%v) = %t, want %t", has, got, c.want)
			}
		})
	}
}

package controller

import (
	"encoding/json"
	"strconv"
	"strings"
	"testing"

	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// listener is Refusals with what it was told to look at again.
type listener struct {
	*Refusals
	changed []string
}

func newListener(pod string) *listener {
	l := &listener{}
	l.Refusals = newRefusals(nil, Options{Namespace: ownNamespace, PodName: pod, PodUID: "uid-of-pod"}, logr.Discard(),
		func(node string) { l.changed = append(l.changed, node) })
	return l
}

// told returns the ConfigMap of a replica whose proxies refuse this.
func told(t *testing.T, pod string, reasons map[string]string) *corev1.ConfigMap {
	t.Helper()
	l := newListener(pod)
	for node, reason := range reasons {
		l.note(node, func(string) string { return reason })
	}
	config, err := l.configMap()
	if err != nil {
		t.Fatal(err)
	}
	return config
}

func TestRefusals_ReachOtherReplicas(t *testing.T) {
	leader := newListener("leader")
	for _, step := range []struct {
		name    string
		config  *corev1.ConfigMap
		gone    bool
		changed []string
		web     string // what is refused of the node web then
	}{
		{name: "Two", config: told(t, "b", map[string]string{"web": "port 80 is taken", "api": "no"}), changed: []string{"api", "web"}, web: "port 80 is taken"},
		{name: "TheSame", config: told(t, "b", map[string]string{"web": "port 80 is taken", "api": "no"}), web: "port 80 is taken"},
		{name: "AnotherReplica", config: told(t, "a", map[string]string{"web": "port 81 is taken"}), changed: []string{"web"}, web: "port 81 is taken"},
		{name: "OneLess", config: told(t, "b", map[string]string{"web": "port 80 is taken"}), changed: []string{"api"}, web: "port 81 is taken"},
		{name: "GoneWithItsPod", config: told(t, "a", map[string]string{"web": "port 81 is taken"}), gone: true, changed: []string{"web"}, web: "port 80 is taken"},
		{name: "Nothing", config: told(t, "b", nil), gone: true, changed: []string{"web"}},
	} {
		leader.changed = nil
		leader.observe(step.config, step.gone)
		if diff := cmp.Diff(step.changed, leader.changed); diff != "" {
			t.Errorf("%s: looked at (-want +got):\n%s", step.name, diff)
		}
		if got := leader.of("web"); got != step.web {
			t.Errorf("%s: got refusal %q, want %q", step.name, got, step.web)
		}
	}
}

func TestRefusals_IgnoreWhatNoReplicaWrote(t *testing.T) {
	for name, change := range map[string]func(*corev1.ConfigMap){
		"Namespace": func(c *corev1.ConfigMap) { c.Namespace = "shop" },
		"Label":     func(c *corev1.ConfigMap) { delete(c.Labels, labelRefusals) },
		"NotOurs":   func(c *corev1.ConfigMap) { c.Labels = map[string]string{labelRefusals: "true"} },
		"Malformed": func(c *corev1.ConfigMap) { c.Data[keyRefusals] = "[]" },
	} {
		t.Run(name, func(t *testing.T) {
			config := told(t, "b", map[string]string{"web": "no"})
			change(config)
			leader := newListener("leader")
			leader.observe(config, false)
			if got := leader.of("web"); got != "" || leader.changed != nil {
				t.Errorf("got refusal %q and a look at %v", got, leader.changed)
			}
		})
	}
}

func TestRefusals_WakeOnlyForSomethingNew(t *testing.T) {
	l := newListener("a")
	for _, step := range []struct {
		reason string
		wakes  int
	}{{"", 0}, {"no", 1}, {"no", 0}, {"never", 1}, {"", 1}, {"", 0}} {
		l.note("web", func(string) string { return step.reason })
		if got := len(l.wake); got != step.wakes {
			t.Errorf("%q: got %d wakes, want %d", step.reason, got, step.wakes)
		}
		select {
		case <-l.wake:
		default:
		}
	}
}

func TestRefusals_ConfigMap(t *testing.T) {
	if config := told(t, "a", nil); config.Data != nil {
		t.Errorf("there is nothing to tell: %v", config.Data)
	}
	config := told(t, "a", map[string]string{"web": "no"})
	owner := []metav1.OwnerReference{{APIVersion: "v1", Kind: "Pod", Name: "a", UID: "uid-of-pod"}}
	if diff := cmp.Diff(owner, config.OwnerReferences); diff != "" {
		t.Errorf("it does not go with its Pod (-want +got):\n%s", diff)
	}
}

// The API server takes 1 MiB: the worst that proxies may say must fit.
func TestRefusals_FitIntoAConfigMap(t *testing.T) {
	reasons := map[string]string{}
	for i := range 2 * maxRefusals {
		reasons["gateway/"+strings.Repeat("n", 63)+"/"+strings.Repeat("g", 250)+strconv.Itoa(i)] = strings.Repeat("\x01", 100_000)
	}
	text := told(t, "a", reasons).Data[keyRefusals]
	if len(text) > 1<<20-4096 {
		t.Errorf("%d bytes are too many", len(text))
	}
	var back map[string]string
	if err := json.Unmarshal([]byte(text), &back); err != nil || len(back) != maxRefusals {
		t.Errorf("got %d refusals and error %v, want %d", len(back), err, maxRefusals)
	}
	if got := cut(strings.Repeat("ä", maxRefusal)); got != strings.Repeat("ä", maxRefusal/2) {
		t.Errorf("cut in the middle of a character: %q", got)
	}
	if got := cut("x" + strings.Repeat("ä", maxRefusal)); got != "x"+strings.Repeat("ä", maxRefusal/2-1) {
		t.Errorf("cut in the middle of a character: %q", got)
	}
}

package conformance

import (
	"os"
	"testing"

	confv1 "sigs.k8s.io/gateway-api/conformance/apis/v1"
	"sigs.k8s.io/yaml"
)

// requireWholeCore fails the test if the report at path shows a profile whose
// core tests did not all run and pass: the suite itself only fails for those
// that ran.
func requireWholeCore(t *testing.T, path string) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Errorf("the suite wrote no report: %v", err)
		return
	}
	var report confv1.ConformanceReport
	if err := yaml.Unmarshal(b, &report); err != nil {
		t.Errorf("read the report: %v", err)
		return
	}
	for _, p := range report.ProfileReports {
		if p.Core.Result != confv1.Success {
			t.Errorf("%s: core is %s: failed %v, skipped %v", p.Name, p.Core.Result, p.Core.FailedTests, p.Core.SkippedTests)
		}
	}
}

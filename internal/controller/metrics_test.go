package controller

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"k8s.io/apimachinery/pkg/types"

	"github.com/citoroute/citoroute/internal/controller/authority"
)

func TestMetrics_TellWhenOwnCertificatesExpire(t *testing.T) {
	identity := &Identity{secret: types.NamespacedName{Namespace: "citoroute-system", Name: "citoroute-controller"}}
	m := newIdentityMetrics(identity)
	if n := testutil.CollectAndCount(m); n != 0 {
		t.Errorf("%d certificates before there is any", n)
	}
	now := time.Unix(1_700_000_000, 0)
	material, _, err := authority.Material{}.Renew([]string{"controller.test"}, now)
	if err != nil {
		t.Fatal(err)
	}
	identity.material.Store(&material)
	const days = 24 * 60 * 60
	want := fmt.Sprintf(`
# HELP citoroute_certificate_expiry_timestamp_seconds When a certificate of the controller's own expires: the first one of a chain, the last authority of a bundle.
# TYPE citoroute_certificate_expiry_timestamp_seconds gauge
citoroute_certificate_expiry_timestamp_seconds{kind="Secret",name="citoroute-controller",namespace="citoroute-system",use="controller"} %d
citoroute_certificate_expiry_timestamp_seconds{kind="Secret",name="citoroute-controller",namespace="citoroute-system",use="controller_authority"} %d
`, now.Unix()+90*days, now.Unix()+365*days)
	if err := testutil.CollectAndCompare(m, strings.NewReader(want)); err != nil {
		t.Error(err)
	}
}

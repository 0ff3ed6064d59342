package redis

import (
	"testing"

	"github.com/citoroute/citoroute/internal/ir"
)

func TestServer_TLS(t *testing.T) {
	id := server{Redis: ir.Redis{Address: "valkey.infra.svc:6379", TLS: true}}
	if c := id.options().TLS; c == nil || c.ServerName != "valkey.infra.svc" || c.InsecureSkipVerify || c.RootCAs != nil {
		t.Errorf("%+v", c)
	}
	id.ca = "no certificate"
	if c := id.options().TLS; c.RootCAs == nil {
		t.Error("an authority that can not be read makes those of the machine valid")
	}
	id.TLS = false
	if id.options().TLS != nil {
		t.Error("TLS was not asked for")
	}
}

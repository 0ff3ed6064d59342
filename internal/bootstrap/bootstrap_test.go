package bootstrap

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestParse_ReadsWhatMarshalWrote(t *testing.T) {
	want := DefaultSidecar()
	want.Node = "gateway/ns/gw"
	want.Stream = Stream{Servers: []string{"c:15010"}, ServerName: "c", CAFile: "/ca", TokenFile: "/token"}
	want.Issuers.Networks = []netip.Prefix{netip.MustParsePrefix("10.96.0.0/12")}
	want.Tracing = Tracing{Endpoint: "http://collector:4317", Protocol: "grpc", Ratio: 0.01}
	want.Push = Push{Endpoint: "http://collector:4318", Protocol: "http/protobuf", Interval: Duration(30 * time.Second)}
	b, err := want.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	got, err := Parse(b)
	if err != nil {
		t.Fatalf("%v\n%s", err, b)
	}
	if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestMarshal_AGatewayHasNoCapture(t *testing.T) {
	b, err := Default().Marshal()
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(b), "capture") {
		t.Errorf("got\n%s", b)
	}
}

func TestParse_NamesTheWrongField(t *testing.T) {
	for name, c := range map[string]struct{ in, want string }{
		"NoNode":        {`source = "stream"`, "node"},
		"NoServers":     {`node = "gateway/a/b"`, "stream.servers"},
		"NoPath":        {`source = "file"`, "file.path"},
		"UnknownSource": {`source = "etcd"`, "source"},
		"BadDuration":   {"node = \"n\"\n[timeouts]\nidle = \"soon\"", "soon"},
		"BadNetwork":    {"node = \"n\"\n[issuers]\nnetworks = [\"everywhere\"]", "everywhere"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Parse([]byte(c.in))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want an error that names %s", err, c.want)
			}
		})
	}
}

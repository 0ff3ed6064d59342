package ir

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestEncode_DecodeGivesBackEveryType(t *testing.T) {
	for _, want := range []Resource{
		&Secret{Name: "s", Certificate: []byte("c"), Key: Bytes("k"), CA: []byte("a"), Values: map[string]Bytes{"token": Bytes("v")}},
		&Policy{Name: "p", JWT: &JWT{Providers: []JWTProvider{{Name: "i", Issuer: "https://i"}}}},
		&Endpoints{Name: "e", Addresses: []Endpoint{{Host: "10.0.0.1", Port: 80}}},
		&Backend{Name: "b", Protocol: ProtocolHTTP, Endpoints: "e"},
		&Listener{Name: "l", Port: 80, Protocol: ProtocolHTTP},
		&Route{Name: "r", Listener: "l", Rules: []Rule{{Direct: &Direct{Status: 404}}}},
	} {
		t.Run(string(want.ResourceType()), func(t *testing.T) {
			first, err := Encode(want)
			if err != nil {
				t.Fatal(err)
			}
			got, err := Decode(want.ResourceType(), first)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("decoded resource differs (-want +got):\n%s", diff)
			}
			second, err := Encode(got)
			if err != nil {
				t.Fatal(err)
			}
			if Version(first) != Version(second) {
				t.Errorf("the same resource has two versions:\n%s\n%s", first, second)
			}
		})
	}
}

func TestBytes_NeverPrints(t *testing.T) {
	s := &Secret{Name: "s", Key: Bytes("hunter2"), Values: map[string]Bytes{"token": Bytes("hunter2")}}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
		if out := fmt.Sprintf(verb, s); strings.Contains(out, "hunter2") || strings.Contains(out, "68756e74657232") {
			t.Errorf("%s prints a secret: %s", verb, out)
		}
	}
}

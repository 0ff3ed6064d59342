package echo

import (
	"encoding/json"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestHandler_DescribesTheRequest(t *testing.T) {
	r := httptest.NewRequest("POST", "http://shop.example/a%2Fb?q=1", strings.NewReader("abc"))
	r.Header.Set("X-One", "1")
	w := httptest.NewRecorder()
	Handler("v1").ServeHTTP(w, r)
	var got Seen
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	want := Seen{
		Backend: "v1", Method: "POST", Host: "shop.example", Path: "/a%2Fb", Query: "q=1", Proto: "HTTP/1.1",
		Headers: map[string][]string{"X-One": {"1"}}, BodyBytes: 3,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("differs (-want +got):\n%s", diff)
	}
}

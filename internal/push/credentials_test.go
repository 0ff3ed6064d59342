package push

import (
	"os"
	"path/filepath"
	"testing"
)

func TestFileToken_ReadsAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "token")
	token := FileToken(path)
	if _, err := token(); err == nil {
		t.Error("no error for a missing file")
	}
	for _, want := range []string{"one", "two"} {
		if err := os.WriteFile(path, []byte(want+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := token(); err != nil || got != want {
			t.Errorf("got %q, %v; want %q", got, err, want)
		}
	}
}

func TestFileCredentials_RefusesWhatIsNoBundle(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ca.crt")
	creds := FileCredentials(path, "controller")
	if _, err := creds(); err == nil {
		t.Error("no error for a missing file")
	}
	if err := os.WriteFile(path, []byte("no certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := creds(); err == nil {
		t.Error("no error for a file without a certificate")
	}
}

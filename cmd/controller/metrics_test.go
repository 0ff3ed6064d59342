package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	certutil "k8s.io/client-go/util/cert"
)

func TestMetricsSettings(t *testing.T) {
	certificate := t.TempDir()
	writeCertificate(t, certificate)
	type served struct {
		Address, CertDir string
		Secure, Filtered bool
	}
	for name, c := range map[string]struct {
		args []string
		want served
	}{
		"Default":     {want: served{Address: ":8443", Secure: true, Filtered: true}},
		"Off":         {args: []string{"--metrics-bind-address=0"}, want: served{Address: "0"}},
		"FormerName":  {args: []string{"--metrics-address=:9090"}, want: served{Address: ":9090", Secure: true, Filtered: true}},
		"Plain":       {args: []string{"--metrics-bind-address=:8080", "--metrics-secure=false"}, want: served{Address: ":8080"}},
		"Certificate": {args: []string{"--metrics-cert-path=" + certificate}, want: served{Address: ":8443", Secure: true, Filtered: true, CertDir: certificate}},
	} {
		t.Run(name, func(t *testing.T) {
			o, err := parse(c.args).metrics.options()
			if err != nil {
				t.Fatal(err)
			}
			got := served{Address: o.BindAddress, CertDir: o.CertDir, Secure: o.SecureServing, Filtered: o.FilterProvider != nil}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// The server would serve a self-signed certificate where there is none.
func TestMetricsSettings_MissingCertificate(t *testing.T) {
	certificate := t.TempDir()
	writeCertificate(t, certificate)
	for name, args := range map[string][]string{
		"Folder": {"--metrics-cert-path=/nowhere"},
		"Name":   {"--metrics-cert-path=" + certificate, "--metrics-cert-name=cert.pem"},
		"Key":    {"--metrics-cert-path=" + certificate, "--metrics-cert-key=key.pem"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := parse(args).metrics.options()
			if err == nil || !strings.HasPrefix(err.Error(), "--metrics-cert-path: ") {
				t.Errorf("got error %v, want one about --metrics-cert-path", err)
			}
		})
	}
}

// writeCertificate puts tls.crt and tls.key into a folder.
func writeCertificate(t *testing.T, folder string) {
	t.Helper()
	certificate, key, err := certutil.GenerateSelfSignedCertKey("localhost", nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{"tls.crt": certificate, "tls.key": key} {
		if err := os.WriteFile(filepath.Join(folder, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

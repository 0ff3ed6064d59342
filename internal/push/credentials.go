package push

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"strings"

	"google.golang.org/grpc/credentials"
)

// FileCredentials returns a function for [Client.Credentials] that reads a PEM
// bundle of certificate authorities from caFile and checks that the server's
// certificate is for serverName.
func FileCredentials(caFile, serverName string) func() (credentials.TransportCredentials, error) {
	return func() (credentials.TransportCredentials, error) {
		pem, err := os.ReadFile(caFile)
		if err != nil {
			return nil, fmt.Errorf("read certificate authorities: %w", err)
		}
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("certificate authorities: %s holds no PEM certificate", caFile)
		}
		return credentials.NewTLS(&tls.Config{
			MinVersion: tls.VersionTLS13, RootCAs: pool, ServerName: serverName,
		}), nil
	}
}

// FileToken returns a function for [Client.Token] that reads a token from a
// file.
func FileToken(path string) func() (string, error) {
	return func() (string, error) {
		b, err := os.ReadFile(path)
		if err != nil {
			return "", fmt.Errorf("read token: %w", err)
		}
		return strings.TrimSpace(string(b)), nil
	}
}

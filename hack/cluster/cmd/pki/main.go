// Command pki writes the keys and certificates of a test cluster into a folder:
// one certificate authority, a certificate for each component, and the key
// that signs ServiceAccount tokens.
package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"flag"
	"log"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// identity is who a certificate is for: as a client by subject, as a server by
// the names and addresses.
type identity struct {
	file    string
	subject pkix.Name
	names   []string
	ips     []net.IP
}

func main() {
	log.SetFlags(0)
	log.SetPrefix("pki: ")
	dir := flag.String("dir", "", "`folder` to write to")
	node := flag.String("node", "", "the node's name")
	nodeIP := flag.String("node-ip", "", "the node's address")
	serviceIP := flag.String("service-ip", "", "the first address of the Service range")
	flag.Parse()

	loopback := net.IPv4(127, 0, 0, 1)
	identities := []identity{
		{
			file:    "apiserver",
			subject: pkix.Name{CommonName: "kube-apiserver"},
			names: []string{
				"localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc",
				"kubernetes.default.svc.cluster.local",
			},
			ips: []net.IP{loopback, net.ParseIP(*nodeIP), net.ParseIP(*serviceIP)},
		},
		{file: "admin", subject: pkix.Name{Organization: []string{"system:masters"}, CommonName: "admin"}},
		{
			file:    "kubelet",
			subject: pkix.Name{Organization: []string{"system:nodes"}, CommonName: "system:node:" + *node},
			names:   []string{*node}, ips: []net.IP{loopback, net.ParseIP(*nodeIP)},
		},
		{file: "controller-manager", subject: pkix.Name{CommonName: "system:kube-controller-manager"}},
		{file: "scheduler", subject: pkix.Name{CommonName: "system:kube-scheduler"}},
		{file: "proxy", subject: pkix.Name{CommonName: "system:kube-proxy"}},
		{file: "echo", subject: pkix.Name{CommonName: "echo"}, names: []string{"echo", "*.echo"}},
	}
	if err := write(*dir, identities); err != nil {
		log.Fatal(err)
	}
}

func write(dir string, identities []identity) error {
	a, err := newAuthority(dir)
	if err != nil {
		return err
	}
	for i, id := range identities {
		if err := a.issue(dir, id, int64(i)+2); err != nil {
			return err
		}
	}
	tokens, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return err
	}
	public, err := x509.MarshalPKIXPublicKey(&tokens.PublicKey)
	if err != nil {
		return err
	}
	if err := writePEM(dir, "tokens.pub", "PUBLIC KEY", public); err != nil {
		return err
	}
	return writeKey(dir, "tokens.key", tokens)
}

type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(dir string) (authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return authority{}, err
	}
	template := template(pkix.Name{CommonName: "test-cluster"}, 1)
	template.IsCA = true
	template.BasicConstraintsValid = true
	template.KeyUsage = x509.KeyUsageCertSign
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return authority{}, err
	}
	if err := writePEM(dir, "ca.crt", "CERTIFICATE", der); err != nil {
		return authority{}, err
	}
	if err := writeKey(dir, "ca.key", key); err != nil {
		return authority{}, err
	}
	cert, err := x509.ParseCertificate(der)
	return authority{cert, key}, err
}

func (a authority) issue(dir string, id identity, serial int64) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	template := template(id.subject, serial)
	template.DNSNames = id.names
	template.IPAddresses = id.ips
	template.KeyUsage = x509.KeyUsageDigitalSignature
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &key.PublicKey, a.key)
	if err != nil {
		return err
	}
	if err := writePEM(dir, id.file+".crt", "CERTIFICATE", der); err != nil {
		return err
	}
	return writeKey(dir, id.file+".key", key)
}

func template(subject pkix.Name, serial int64) *x509.Certificate {
	now := time.Now()
	return &x509.Certificate{
		SerialNumber: big.NewInt(serial),
		Subject:      subject,
		NotBefore:    now.Add(-time.Hour),
		NotAfter:     now.AddDate(1, 0, 0),
	}
}

func writeKey(dir, name string, key any) error {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	return writePEM(dir, name, "PRIVATE KEY", der)
}

func writePEM(dir, name, kind string, der []byte) error {
	return os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600)
}

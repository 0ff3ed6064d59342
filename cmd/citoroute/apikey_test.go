package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"
)

// apiKey runs the command and returns what it prints.
func apiKey(t *testing.T, stdin string, args ...string) (secret corev1.Secret, stderr string, code int) {
	t.Helper()
	var out, errs bytes.Buffer
	root := newRoot()
	root.SetIn(strings.NewReader(stdin))
	code = execute(t.Context(), root, append([]string{"api-key"}, args...), &out, &errs)
	if err := yaml.UnmarshalStrict(out.Bytes(), &secret); err != nil {
		t.Fatalf("%v in\n%s", err, out.String())
	}
	return secret, errs.String(), code
}

func TestAPIKey_ShowsTheKeyOnceAndStoresItsHash(t *testing.T) {
	seen := map[string]bool{}
	for range 3 {
		secret, stderr, code := apiKey(t, "", "team-alpha", "-n", "llm")
		lines := strings.Split(strings.TrimSpace(stderr), "\n")
		key := lines[len(lines)-1]
		if code != 0 || !strings.HasPrefix(key, keyPrefix) || len(key) < len(keyPrefix)+keyBytes || seen[key] {
			t.Fatalf("exit code %d, key %q", code, key)
		}
		seen[key] = true
		sum := sha256.Sum256([]byte(key))
		hash := hex.EncodeToString(sum[:])
		if secret.Name != "team-alpha" || secret.Namespace != "llm" || len(secret.StringData) != 1 || secret.StringData["key-"+hash[:8]] != hash {
			t.Errorf("%+v", secret)
		}
	}
}

func TestAPIKey_FromStandardInput(t *testing.T) {
	const key = "sk-0123456789-0123456789-0123456789"
	secret, stderr, code := apiKey(t, key+"\n", "s", "--stdin", "--entry", "old")
	sum := sha256.Sum256([]byte(key))
	if code != 0 || secret.StringData["old"] != hex.EncodeToString(sum[:]) || strings.Contains(stderr, key) {
		t.Errorf("exit code %d, %+v\n%s", code, secret, stderr)
	}
	for name, bad := range map[string]string{"Short": "sk-short", "Space": "a key with space in it, 0123456789", "Empty": ""} {
		if _, stderr, code := apiKey(t, bad, "s", "--stdin"); code != exitUsage || bad != "" && strings.Contains(stderr, bad) {
			t.Errorf("%s: exit code %d\n%s", name, code, stderr)
		}
	}
}

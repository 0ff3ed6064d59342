package main

import (
	"bufio"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/citoroute/citoroute/api/v1alpha1"
)

const (
	// keyPrefix tells people and secret scanners what a key is.
	keyPrefix = "citoroute_"
	// keyBytes is how much of a key is random.
	keyBytes = 32
)

type apiKeyFlags struct {
	namespace, entry string
	stdin            bool
}

func newAPIKey() *cobra.Command {
	var f apiKeyFlags
	c := &cobra.Command{
		Use:   "api-key SECRET",
		Short: "Make an API key for a Consumer, and the Secret that knows it by its hash",
		Long: `Make a random API key. The key goes to standard error, this once; the manifest of a
Secret with its SHA-256 hash goes to standard output. The key is stored nowhere.

Name the Secret in spec.apiKeys.secretRef of a Consumer. To replace a key, add the
next one to the Secret, give it out, and remove the entry of the old one.`,
		Example: `  citoroute api-key team-alpha | kubectl create -f -
  citoroute api-key team-alpha | kubectl patch secret team-alpha --patch-file /dev/stdin`,
		Args: usage(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, args []string) error {
			return f.run(args[0], c.InOrStdin(), c.OutOrStdout(), c.ErrOrStderr())
		},
	}
	flags := c.Flags()
	flags.StringVarP(&f.namespace, "namespace", "n", "", "`namespace` of the Secret")
	flags.StringVar(&f.entry, "entry", "", "`name` of the Secret's entry (default: made from the hash)")
	flags.BoolVar(&f.stdin, "stdin", false, "take a key that there is already, a line of standard input")
	return c
}

func (f apiKeyFlags) run(secret string, stdin io.Reader, stdout, stderr io.Writer) error {
	key, err := newKey()
	if f.stdin {
		key, err = readKey(stdin)
	}
	if err != nil {
		return err
	}
	sum := sha256.Sum256([]byte(key))
	hash := hex.EncodeToString(sum[:])
	entry := f.entry
	if entry == "" {
		entry = "key-" + hash[:8]
	}
	manifest, err := yaml.Marshal(struct {
		metav1.TypeMeta `json:",inline"`
		Metadata        map[string]string `json:"metadata"`
		Type            corev1.SecretType `json:"type"`
		StringData      map[string]string `json:"stringData"`
	}{
		metav1.TypeMeta{APIVersion: "v1", Kind: "Secret"}, f.metadata(secret), corev1.SecretTypeOpaque, map[string]string{entry: hash},
	})
	if err != nil {
		return fmt.Errorf("write the manifest: %w", err)
	}
	if !f.stdin {
		if _, err := fmt.Fprintf(stderr, "The key, which is not shown again:\n%s\n", key); err != nil {
			return fmt.Errorf("show the key: %w", err)
		}
	}
	_, err = stdout.Write(manifest)
	return err
}

func (f apiKeyFlags) metadata(secret string) map[string]string {
	out := map[string]string{"name": secret}
	if f.namespace != "" {
		out["namespace"] = f.namespace
	}
	return out
}

func newKey() (string, error) {
	b := make([]byte, keyBytes)
	if _, err := rand.Read(b); err != nil {
		return "", fmt.Errorf("make a key: %w", err)
	}
	return keyPrefix + base64.RawURLEncoding.EncodeToString(b), nil
}

// readKey reads a key that somebody else has made.
func readKey(stdin io.Reader) (string, error) {
	lines := bufio.NewScanner(stdin)
	lines.Scan()
	key := lines.Text()
	if err := lines.Err(); err != nil {
		return "", fmt.Errorf("--stdin: %w", err)
	}
	if len(key) < v1alpha1.MinAPIKeyLength {
		return "", usageError{fmt.Errorf("--stdin: a key has at least %d characters, which must be random", v1alpha1.MinAPIKeyLength)}
	}
	for _, c := range []byte(key) {
		if c <= ' ' || c > '~' || c == ',' {
			return "", usageError{errors.New("--stdin: a key is of printable ASCII characters, without space and comma")}
		}
	}
	return key, nil
}

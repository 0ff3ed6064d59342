package e2e

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// openAIClient is the folder of a program that checks a gateway with OpenAI's
// own client for Node, with that client installed. The spec is skipped where
// npm is not there.
func openAIClient(ctx context.Context) string {
	GinkgoHelper()
	if _, err := exec.LookPath("npm"); err != nil {
		Skip("npm is not installed")
	}
	cache, err := os.UserCacheDir()
	Expect(err).NotTo(HaveOccurred())
	clients := filepath.Join(cache, "citoroute", "clients")
	folder := filepath.Join(clients, "openai-node")
	Expect(os.MkdirAll(folder, 0o755)).To(Succeed())
	for _, name := range []string{"checks.mjs", "openai-node/package.json", "openai-node/package-lock.json", "openai-node/chat.mjs"} {
		content, err := os.ReadFile(filepath.Join("..", "..", "examples", "clients", name))
		Expect(err).NotTo(HaveOccurred())
		Expect(os.WriteFile(filepath.Join(clients, name), content, 0o600)).To(Succeed())
	}
	if _, err := os.Stat(filepath.Join(folder, "node_modules", "openai")); err != nil {
		install := exec.CommandContext(ctx, "npm", "ci", "--no-audit", "--no-fund")
		install.Dir = folder
		out, err := install.CombinedOutput()
		Expect(err).NotTo(HaveOccurred(), string(out))
	}
	return folder
}

// runOpenAIClient runs the checks. environment says where the gateway is and
// which token to send.
func runOpenAIClient(ctx context.Context, folder string, environment ...string) {
	GinkgoHelper()
	check := exec.CommandContext(ctx, "node", "chat.mjs")
	check.Dir, check.Env = folder, append(os.Environ(), environment...)
	out, err := check.CombinedOutput()
	Expect(err).NotTo(HaveOccurred(), "%v\n%s", environment[0], out)
	AddReportEntry(environment[0], string(out))
}

package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
)

const (
	namePortkeyOpenAI    = "Portkey, to OpenAI"
	namePortkeyAnthropic = "Portkey, to Anthropic"

	portkeyAddress = "127.0.0.1:19085"
)

var portkeySuite = suite{
	start: startPortkey,
	about: llmSuite.about,
	pairs: [][2]string{{nameOpenAI, namePortkeyOpenAI}, {nameAnthropic, namePortkeyAnthropic}},
}

// startPortkey starts our proxy and Portkey's gateway, on the same core. There
// is load on one at a time.
func startPortkey(ctx context.Context, dir, self string, o options) ([]contender, error) {
	if o.portkey == "" {
		return nil, errors.New("-portkey: not set, see portkey.sh")
	}
	ours, err := startLLM(ctx, dir, self, o)
	if err != nil {
		return nil, err
	}
	var all []contender
	for _, c := range ours {
		if c.name == nameOpenAI || c.name == nameAnthropic {
			all = append(all, c)
		}
	}
	if err := os.Setenv("NODE_ENV", "production"); err != nil {
		return all, err
	}
	p, err := start(ctx, proxyCore, portkeyAddress, "node", o.portkey, "--port="+portOf(portkeyAddress), "--headless")
	if err != nil {
		return all, err
	}
	for _, c := range [][2]string{{namePortkeyOpenAI, "openai"}, {namePortkeyAnthropic, "anthropic"}} {
		all = append(all, contender{
			name: c[0], url: "http://" + portkeyAddress + chatPath, script: filepath.Join(dir, promptScript), process: p, peer: true,
			header: []string{"x-portkey-provider: " + c[1], "x-portkey-custom-host: http://" + backendAddress + "/v1"},
		})
	}
	return all, nil
}

func portOf(address string) string {
	_, port, _ := strings.Cut(address, ":")
	return port
}

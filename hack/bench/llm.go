package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/citoroute/citoroute/internal/ir"
)

// Ways of a chat completion through our proxy.
const (
	namePlain     = "plain proxy pass"
	nameOpenAI    = "to OpenAI"
	nameAnthropic = "to Anthropic"
	nameBedrock   = "to Bedrock"
	nameSigned    = "to Bedrock, signed"

	llmAddress = "127.0.0.1:19084"
	chatPath   = "/v1/chat/completions"

	promptScript = "prompt.lua"
	promptFile   = "prompt.json"
)

var llmSuite = suite{
	start: startLLM,
	about: fmt.Sprintf("chat completions with a prompt of %d bytes", promptSize),
	pairs: [][2]string{
		{nameOpenAI, namePlain},
		{nameAnthropic, namePlain},
		{nameBedrock, namePlain},
		{nameSigned, namePlain},
		{nameAnthropic, nameNginx},
		{namePlain, nameNginx},
	},
}

// startLLM starts one proxy, which all contenders share but nginx, which passes
// the same bytes on.
func startLLM(ctx context.Context, dir, _ string, o options) ([]contender, error) {
	script := filepath.Join(dir, promptScript)
	if err := os.WriteFile(script, []byte(luaPost(prompt(false))), 0o600); err != nil {
		return nil, err
	}
	body := filepath.Join(dir, promptFile)
	if err := os.WriteFile(body, []byte(prompt(false)), 0o600); err != nil {
		return nil, err
	}
	config, err := writeConfig(dir, llmResources(19084, backendAddress))
	if err != nil {
		return nil, err
	}
	p, err := start(ctx, proxyCore, llmAddress, o.proxy, "--bootstrap", config)
	if err != nil {
		return nil, err
	}
	var all []contender
	for _, c := range [][2]string{{namePlain, "/plain"}, {nameOpenAI, "/openai"}, {nameAnthropic, "/anthropic"}, {nameBedrock, "/bedrock"}, {nameSigned, "/signed"}} {
		all = append(all, contender{name: c[0], url: "http://" + llmAddress + c[1] + chatPath, script: script, body: body, process: p})
	}
	plain, err := startNginx(ctx, dir, 0)
	if err != nil {
		return all, err
	}
	return append(all, contender{name: nameNginx, url: "http://" + nginxAddress(0) + "/plain" + chatPath, script: script, body: body, process: plain}), nil
}

// luaPost makes wrk send body.
func luaPost(body string) string {
	return fmt.Sprintf("wrk.method = \"POST\"\nwrk.headers[\"Content-Type\"] = \"application/json\"\n"+
		"wrk.headers[\"Authorization\"] = \"Bearer client\"\nwrk.body = [==[%s]==]\n", body)
}

// llmResources are a plain route and one to each provider, all of which the
// backend at address plays.
func llmResources(port uint16, address string) []ir.Resource {
	all := append(frame(port, address),
		&ir.Secret{Name: "secret/bench/key", Values: map[string]ir.Bytes{"apiKey": ir.Bytes("sk-bench")}},
		&ir.Secret{Name: "secret/bench/aws", Values: map[string]ir.Bytes{
			"accessKeyID": ir.Bytes("AKIDBENCH"), "secretAccessKey": ir.Bytes("bench"),
		}})
	route := &ir.Route{
		Name:     "LLMRoute/bench/chat@bench/bench/http",
		Source:   ir.Source{Kind: "LLMRoute", Namespace: "bench", Name: "chat"},
		Listener: "bench/bench/http",
		Rules:    []ir.Rule{rule("/plain")},
	}
	const claude = "anthropic.claude-sonnet-4-5-20250929-v1:0"
	for _, to := range []struct {
		name     string
		provider ir.LLMProvider
	}{
		{"openai", ir.LLMProvider{Provider: "openai", BasePath: "/v1", Credentials: "secret/bench/key"}},
		{"anthropic", ir.LLMProvider{Provider: "anthropic", Model: "claude-sonnet-4-5", Credentials: "secret/bench/key"}},
		{"bedrock", ir.LLMProvider{Provider: "bedrock", Model: claude, Credentials: "secret/bench/key", Region: "eu-central-1"}},
		{"signed", ir.LLMProvider{Provider: "bedrock", Model: claude, Credentials: "secret/bench/aws", Region: "eu-central-1"}},
	} {
		to.provider.Host = address
		all = append(all, &ir.Backend{Name: "llm/bench/" + to.name, Protocol: ir.ProtocolHTTP, Endpoints: "backend", LLM: &to.provider})
		route.Rules = append(route.Rules, ir.Rule{
			Matches:  []ir.Match{{Path: ir.PathMatch{Type: ir.MatchPrefix, Value: "/" + to.name}}},
			LLM:      &ir.LLMAction{},
			Backends: []ir.WeightedBackend{{Backend: "llm/bench/" + to.name, Weight: 1}},
		})
	}
	return append(all, route)
}

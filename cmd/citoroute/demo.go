package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"github.com/citoroute/citoroute/internal/echo"
	"github.com/citoroute/citoroute/internal/fakellm"
)

// Where the backends of the examples are.
const (
	demoEcho1   = "127.0.0.1:9001"
	demoEcho2   = "127.0.0.1:9002"
	demoFakeLLM = "127.0.0.1:9090"
)

// demoDelay is how fast the fake LLM provider speaks: 50 words a second.
const demoDelay = 20 * time.Millisecond

// headTimeout limits a request head at echo servers and fake providers.
const headTimeout = 10 * time.Second

func newFakeLLM() *cobra.Command {
	var listen string
	var delay time.Duration
	c := &cobra.Command{
		Use:   "fake-llm",
		Short: "Stand in for OpenAI, Anthropic and Amazon Bedrock: deterministic, strict, and failing on demand",
		Long: `Serve fake providers of all three protocols. They echo what is said to them, check
fields, order, credentials and signatures as the real ones do, and misbehave when
a prompt says so: "[fake status=429 retry-after=3]", "[fake cut-after=2]",
"[fake tool=get_weather]". GET /fake/account tells what they have served.

Keys: OpenAI ` + fakellm.OpenAIKey + `, Anthropic ` + fakellm.AnthropicKey + `,
AWS ` + fakellm.AccessKeyID + ` with ` + fakellm.SecretAccessKey + `,
Bedrock ` + fakellm.BedrockAPIKey + `.`,
		Args: usage(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			return serve(c, listen, fakellm.New(fakellm.Options{Delay: delay}))
		},
	}
	c.Flags().StringVar(&listen, "listen", demoFakeLLM, "`address` to listen on")
	c.Flags().DurationVar(&delay, "delay", demoDelay, "wait before each event of a stream")
	return c
}

func newEcho() *cobra.Command {
	var listen, name string
	c := &cobra.Command{
		Use:   "echo",
		Short: "A backend that answers with what it received",
		Args:  usage(cobra.NoArgs),
		RunE:  func(c *cobra.Command, _ []string) error { return serve(c, listen, echo.Handler(name)) },
	}
	c.Flags().StringVar(&listen, "listen", demoEcho1, "`address` to listen on")
	c.Flags().StringVar(&name, "name", "echo", "what the backend calls itself")
	return c
}

// serve listens on addr until the command is interrupted.
func serve(c *cobra.Command, addr string, handler http.Handler) error {
	done, err := start(c.Context(), addr, handler)
	if err != nil {
		return fmt.Errorf("--listen: %w", err)
	}
	_, _ = fmt.Fprintf(c.OutOrStdout(), "Listening on http://%s\n", addr)
	return <-done
}

// startDemo starts the backends of the examples. They end with ctx.
func startDemo(ctx context.Context) error {
	for addr, handler := range map[string]http.Handler{
		demoEcho1:   echo.Handler("echo-1"),
		demoEcho2:   echo.Handler("echo-2"),
		demoFakeLLM: fakellm.New(fakellm.Options{Delay: demoDelay}),
	} {
		if _, err := start(ctx, addr, handler); err != nil {
			return err
		}
	}
	return nil
}

// start serves handler on addr until ctx is done; then done gets why it ended.
func start(ctx context.Context, addr string, handler http.Handler) (done <-chan error, err error) {
	ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	srv := &http.Server{Handler: handler, ReadHeaderTimeout: headTimeout}
	ended := make(chan error, 1)
	context.AfterFunc(ctx, func() { _ = srv.Close() })
	go func() {
		err := srv.Serve(ln)
		if errors.Is(err, http.ErrServerClosed) {
			err = nil
		}
		ended <- err
	}()
	return ended, nil
}

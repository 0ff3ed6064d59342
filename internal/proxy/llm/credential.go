package llm

import (
	"bytes"
	"context"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/citoroute/citoroute/internal/ai"
	"github.com/citoroute/citoroute/internal/ai/bedrock"
	"github.com/citoroute/citoroute/internal/ai/chat"
	"github.com/citoroute/citoroute/internal/proxy/awsauth"
	"github.com/citoroute/citoroute/internal/proxy/exchange"
	"github.com/citoroute/citoroute/internal/proxy/upstream"
)

// Authenticate adds the provider's credential to req: the one place that knows
// how each of them wants it. It comes last, since a signature covers all the
// rest, and again for each time that req is sent, since a signature is for one.
// now is the provider's clock. The error is a *chat.Error.
func (a *Attempt) Authenticate(req *exchange.Request, signer *bedrock.Signer, now func() time.Time) error {
	if a.backend.Credentials == nil && a.backend.Identity == nil {
		return nil
	}
	p, key := a.backend.Backend.LLM, a.backend.APIKey
	switch {
	case ai.Provider(p.Provider) == ai.Bedrock && (key == "" || p.AssumeRole != nil): // no API key is of a role
		return a.sign(req, signer, now())
	case key == "":
		return errCredentials()
	}
	a.secrets = [2]string{key}
	if ai.Provider(p.Provider) == ai.Anthropic {
		req.Header.Set("X-Api-Key", key)
	} else {
		req.Header.Set("Authorization", "Bearer "+key)
	}
	return nil
}

// For says that the attempt was made for the provider of backend as it is now,
// so that no credential goes to another one.
func (a *Attempt) For(backend *upstream.Config) bool {
	was, is := a.backend.Backend.LLM, backend.Backend.LLM
	return is != nil && was.Provider == is.Provider && was.Host == is.Host
}

// sign proves a request to Bedrock by AWS Signature Version 4.
func (a *Attempt) sign(req *exchange.Request, signer *bedrock.Signer, now time.Time) error {
	key, err := accessKey(a.backend, now)
	if err != nil {
		return err
	}
	p := a.backend.Backend.LLM
	proof, err := signer.Sign(context.Background(), bedrock.Signing{
		Credentials: aws.Credentials{AccessKeyID: key.AccessKeyID, SecretAccessKey: key.SecretAccessKey, SessionToken: key.SessionToken},
		Region:      p.Region, Host: p.Host, Path: req.Path, Header: a.Wire.Header, Body: a.Wire.Body, Time: now,
	})
	if err != nil {
		return errCredentials()
	}
	a.signed, a.secrets = now, [2]string{key.SecretAccessKey, key.SessionToken}
	req.Header.Del("X-Amz-Security-Token") // one of an attempt before may not be replaced
	for _, f := range proof {
		req.Header.Set(f.Name, f.Value)
	}
	return nil
}

func accessKey(backend *upstream.Config, now time.Time) (awsauth.Credentials, error) {
	if backend.Identity != nil {
		key, err := backend.Identity.Credentials(now)
		if err != nil {
			return key, &chat.Error{
				Status: 503, Type: chat.TypeServer, Code: chat.CodeUpstreamAuth,
				Message: "the gateway has no valid AWS credentials for this backend",
			}
		}
		return key, nil
	}
	key, ok := upstream.AccessKey(backend.Credentials)
	if !ok {
		return key, errCredentials()
	}
	return key, nil
}

func errCredentials() error {
	return &chat.Error{
		Status: 500, Type: chat.TypeServer, Code: chat.CodeUpstreamAuth,
		Message: "the credentials of the backend are not usable",
	}
}

const redacted = "[redacted]"

// conceal takes the credential out of what a provider may have echoed.
func (a *Attempt) conceal(e *chat.Error) {
	for _, s := range a.secrets {
		if s == "" {
			continue
		}
		for _, text := range [...]*string{&e.Message, &e.Code, &e.Param} {
			*text = strings.ReplaceAll(*text, s, redacted)
		}
	}
}

// concealBytes is conceal for an error that is written already.
func (a *Attempt) concealBytes(b []byte) []byte {
	for _, s := range a.secrets {
		if s == "" {
			continue
		}
		b = bytes.ReplaceAll(b, []byte(s), []byte(redacted))
	}
	return b
}

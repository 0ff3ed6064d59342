package llm

import (
	"context"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/citoroute/citoroute/internal/ai"
	"github.com/citoroute/citoroute/internal/ai/bedrock"
	"github.com/citoroute/citoroute/internal/ir"
	"github.com/citoroute/citoroute/internal/proxy/exchange"
)

// authenticate adds the credential of a provider: the one place that knows how
// each of them wants it. It comes last, since a signature covers all the rest.
func (a *Attempt) authenticate(req *exchange.Request, p *ir.LLMProvider, secret *ir.Secret, now time.Time) error {
	if ai.Provider(p.Provider) == ai.Bedrock {
		return a.sign(req, p, secret, now)
	}
	key, ok := value(secret, "apiKey")
	if !ok && len(secret.Values) == 1 {
		for name := range secret.Values {
			key, ok = value(secret, name)
		}
	}
	if !ok {
		return errCredentials()
	}
	a.secret = key
	if ai.Provider(p.Provider) == ai.Anthropic {
		req.Header.Set("X-Api-Key", key)
	} else {
		req.Header.Set("Authorization", "Bearer "+key)
	}
	return nil
}

// sign proves a request to Bedrock by AWS Signature Version 4.
func (a *Attempt) sign(req *exchange.Request, p *ir.LLMProvider, secret *ir.Secret, now time.Time) error {
	id, hasID := value(secret, "accessKeyID")
	key, hasKey := value(secret, "secretAccessKey")
	if !hasID || !hasKey {
		return errCredentials()
	}
	a.secret = key
	session, _ := value(secret, "sessionToken")
	proof, err := bedrock.Sign(context.Background(), bedrock.Signing{
		Credentials: aws.Credentials{AccessKeyID: id, SecretAccessKey: key, SessionToken: session},
		Region:      p.Region, Host: p.Host, Path: req.Path, Header: a.Wire.Header, Body: a.Wire.Body, Time: now,
	})
	if err != nil {
		return errCredentials()
	}
	for _, f := range proof {
		req.Header.Set(f.Name, f.Value)
	}
	return nil
}

func errCredentials() error { return refuse(500, "the credentials of the backend are not usable") }

// value returns a value of a secret that can stand in a header. Files end with
// a newline, so space around it is cut off.
func value(s *ir.Secret, name string) (v string, ok bool) {
	v = strings.TrimSpace(string(s.Values[name]))
	return v, v != "" && !strings.ContainsFunc(v, func(r rune) bool { return r <= ' ' || r >= 0x7f })
}

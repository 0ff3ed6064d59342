package upstream

import (
	"strings"

	"github.com/citoroute/citoroute/internal/ir"
	"github.com/citoroute/citoroute/internal/proxy/awsauth"
)

// identityOf returns the AWS identity with which a provider is asked; ok is
// false where it wants none, or its Secret is all that signing needs.
func identityOf(p *ir.LLMProvider, secret *ir.Secret) (id awsauth.Identity, ok bool) {
	if p.Region == "" || p.AssumeRole == nil && p.Credentials != "" {
		return awsauth.Identity{}, false
	}
	id = awsauth.Identity{Region: p.Region, Role: p.AssumeRole}
	if secret != nil {
		id.Key, ok = AccessKey(secret)
		return id, ok
	}
	return id, true
}

// AccessKey reads the AWS access key in a Secret; ok is false where it is not
// usable.
func AccessKey(s *ir.Secret) (c awsauth.Credentials, ok bool) {
	var hasID, hasKey bool
	c.AccessKeyID, hasID = secretValue(s, "accessKeyID")
	c.SecretAccessKey, hasKey = secretValue(s, "secretAccessKey")
	c.SessionToken, _ = secretValue(s, "sessionToken")
	return c, hasID && hasKey
}

// APIKey is the value "apiKey" of a Secret; empty where that is not usable, or s
// is nil.
func APIKey(s *ir.Secret) string {
	if s == nil {
		return ""
	}
	if key, ok := secretValue(s, "apiKey"); ok {
		return key
	}
	return ""
}

// secretValue returns a value of a Secret that can stand in a header. Files end
// with a newline, so space around it is cut off.
func secretValue(s *ir.Secret, name string) (v string, ok bool) {
	v = strings.TrimSpace(string(s.Values[name]))
	return v, v != "" && !strings.ContainsFunc(v, func(r rune) bool { return r <= ' ' || r >= 0x7f })
}

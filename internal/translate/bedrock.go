package translate

import (
	"regexp"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/citoroute/citoroute/api/v1alpha1"
	"github.com/citoroute/citoroute/internal/ir"
)

// bedrock takes in what only Bedrock has, and returns its public endpoint.
func (t *llmTarget) bedrock(spec *v1alpha1.LLMBackendSpec) (endpoint string) {
	options := deref(spec.Bedrock, v1alpha1.BedrockOptions{})
	t.provider.Region = options.Region
	if !isRegion(options.Region) {
		t.invalid("spec.bedrock.region: %q is not an AWS region such as us-east-1", short(options.Region))
	}
	if spec.Model == "" {
		t.invalid("spec.model: required for provider Bedrock")
	}
	switch region, ok := regionOfARN(spec.Model); {
	case ok && region == "":
		t.invalid("spec.model: %q is not a whole ARN", short(spec.Model))
	case ok && region != options.Region:
		t.invalid("spec.model: an ARN of region %q, but spec.bedrock.region is %q", short(region), short(options.Region))
	}
	if options.AssumeRole != nil {
		t.role(options.AssumeRole)
	}
	return "https://bedrock-runtime." + options.Region + "." + dnsSuffix(options.Region)
}

// bedrockKeys are the keys of a Secret that Bedrock needs: an API key, or else an
// access key. A Secret with both does not say who the gateway is to be.
func (t *llmTarget) bedrockKeys(secret *corev1.Secret, wrong func(format string, args ...any)) []string {
	const apiKey = v1alpha1.SecretKeyAPIKey
	if !hasValue(secret, apiKey) {
		return []string{v1alpha1.SecretKeyAccessKeyID, v1alpha1.SecretKeySecretAccessKey}
	}
	for _, k := range []string{v1alpha1.SecretKeyAccessKeyID, v1alpha1.SecretKeySecretAccessKey, v1alpha1.SecretKeySessionToken} {
		if hasValue(secret, k) {
			wrong("has data.%q and data.%q; keep the API key or the access key", apiKey, k)
			break
		}
	}
	if t.provider.AssumeRole != nil {
		wrong("has data.%q, and no API key can assume the role of spec.bedrock.assumeRole; remove the role or use an access key", apiKey)
	}
	return []string{apiKey}
}

func isRegion(s string) bool {
	return s != "" && len(s) <= 32 && !strings.ContainsFunc(s, func(c rune) bool { return c != '-' && (c < 'a' || c > 'z') && (c < '0' || c > '9') })
}

// regionOfARN returns the region of a model that is named by its ARN,
// arn:partition:bedrock:region:account:resource; "" where that is malformed.
func regionOfARN(model string) (region string, ok bool) {
	if !strings.HasPrefix(model, "arn:") {
		return "", false
	}
	parts := strings.SplitN(model, ":", 6)
	if len(parts) < 6 {
		return "", true
	}
	return parts[3], true
}

// dnsSuffix is the domain below which AWS's partition of a region has its
// services, as AWS's SDKs know it.
func dnsSuffix(region string) string {
	for _, p := range [...]struct{ prefix, suffix string }{
		{"cn-", "amazonaws.com.cn"},
		{"eusc-", "amazonaws.eu"},
		{"us-iso-", "c2s.ic.gov"},
		{"us-isob-", "sc2s.sgov.gov"},
		{"eu-isoe-", "cloud.adc-e.uk"},
		{"us-isof-", "csp.hci.ic.gov"},
		{"eu-isof-", "csp.hci.ic.gov"},
	} {
		if strings.HasPrefix(region, p.prefix) {
			return p.suffix
		}
	}
	return "amazonaws.com" // us-gov- included
}

// What AWS takes as the fields of a role's session.
var (
	roleARN     = regexp.MustCompile(`^arn:aws[a-z-]*:iam::\d{12}:role/[a-zA-Z0-9_+=,.@/-]+$`)
	externalID  = regexp.MustCompile(`^[a-zA-Z0-9_+=,.@:/-]{2,}$`)
	sessionName = regexp.MustCompile(`^[a-zA-Z0-9_+=,.@-]{2,64}$`)
	sessionTag  = regexp.MustCompile(`^[a-zA-Z0-9 _.:/=+@-]*$`)
)

// role takes in a role to assume.
func (t *llmTarget) role(in *v1alpha1.AssumeRole) {
	const field = "spec.bedrock.assumeRole"
	out := &ir.AWSRole{ARN: in.RoleARN, ExternalID: in.ExternalID, SessionName: in.SessionName}
	if out.SessionName == "" {
		out.SessionName = v1alpha1.DefaultSessionName
	}
	if !roleARN.MatchString(out.ARN) {
		t.invalid("%s.roleARN: %q is not the ARN of an IAM role", field, short(out.ARN))
	}
	if out.ExternalID != "" && !externalID.MatchString(out.ExternalID) {
		t.invalid("%s.externalID: %q has characters that AWS does not take, or too few", field, short(out.ExternalID))
	}
	if !sessionName.MatchString(out.SessionName) {
		t.invalid("%s.sessionName: %q is not 2 to 64 letters, digits and characters of _+=,.@-", field, short(out.SessionName))
	}
	for i, tag := range in.SessionTags {
		if tag.Name == "" || strings.HasPrefix(strings.ToLower(tag.Name), "aws:") || !sessionTag.MatchString(tag.Name) || !sessionTag.MatchString(tag.Value) {
			t.invalid("%s.sessionTags[%d]: %q=%q is not a tag that AWS takes", field, i, short(tag.Name), short(tag.Value))
			continue
		}
		if out.SessionTags == nil {
			out.SessionTags = make(map[string]string, len(in.SessionTags))
		}
		out.SessionTags[tag.Name] = tag.Value
	}
	t.provider.AssumeRole = out
}

package fakellm

import (
	"errors"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"
)

// AWS's own client takes on the role where it may, and understands why not.
func TestAssumeRole(t *testing.T) {
	type input = sts.AssumeRoleInput
	for name, test := range map[string]struct {
		key, secret string
		change      func(*input)
		code        string
	}{
		"Good":          {AssumerKeyID, AssumerSecret, func(*input) {}, ""},
		"OtherRole":     {AssumerKeyID, AssumerSecret, func(in *input) { in.RoleArn = aws.String(RoleARN + "2") }, "AccessDenied"},
		"NoExternalID":  {AssumerKeyID, AssumerSecret, func(in *input) { in.ExternalId = nil }, "AccessDenied"},
		"WrongSecret":   {AssumerKeyID, SecretAccessKey, func(*input) {}, "InvalidSignatureException"},
		"KeyOfNobody":   {"AKIDNOBODY", AssumerSecret, func(*input) {}, "UnrecognizedClientException"},
		"KeyForBedrock": {AccessKeyID, SecretAccessKey, func(*input) {}, "UnrecognizedClientException"},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(New(Options{}))
			defer server.Close()
			client := sts.New(sts.Options{
				Region: "eu-central-1", BaseEndpoint: &server.URL, Credentials: credentials.NewStaticCredentialsProvider(test.key, test.secret, ""),
			})
			in := &input{RoleArn: aws.String(RoleARN), ExternalId: aws.String(ExternalID), RoleSessionName: aws.String("citoroute")}
			test.change(in)
			out, err := client.AssumeRole(t.Context(), in)
			if test.code == "" {
				if err != nil || *out.Credentials.SessionToken != sessionToken || time.Until(*out.Credentials.Expiration) < sessionLength/2 {
					t.Errorf("%+v, %v", out, err)
				}
				return
			}
			if e, ok := errors.AsType[smithy.APIError](err); !ok || e.ErrorCode() != test.code {
				t.Errorf("%v, want %s", err, test.code)
			}
		})
	}
}

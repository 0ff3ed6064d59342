// Package chain gets AWS credentials through AWS's own SDK: the edge of package
// awsauth.
package chain

import (
	"context"
	"fmt"
	"maps"
	"net"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/aws-sdk-go-v2/service/sts/types"

	"github.com/citoroute/citoroute/internal/ir"
	"github.com/citoroute/citoroute/internal/proxy/awsauth"
)

const (
	dialTimeout    = 2 * time.Second
	requestTimeout = 5 * time.Second
	// roleDuration is for how long a role is assumed. Every role allows it, also
	// one that is assumed from another.
	roleDuration = time.Hour
)

// Fetch gets credentials for an identity: its key where it has one, else what
// AWS's default chain finds (environment, shared files, web identity of a
// ServiceAccount, pod identity or another container's source, instance
// profile); with a role, those of the role. Nothing is kept: each call reads
// files and environment anew.
func Fetch(ctx context.Context, id awsauth.Identity) (awsauth.Credentials, error) {
	options := []func(*config.LoadOptions) error{
		config.WithRegion(id.Region),
		config.WithHTTPClient(awshttp.NewBuildableClient().WithTimeout(requestTimeout).WithDialerOptions(func(d *net.Dialer) {
			d.Timeout = dialTimeout
		})),
		// When to renew is not for the SDK to say: some of its sources count
		// credentials as expired five minutes early.
		config.WithCredentialsCacheOptions(func(o *aws.CredentialsCacheOptions) { o.ExpiryWindow = 0 }),
	}
	if id.Key.AccessKeyID != "" {
		options = append(options, config.WithCredentialsProvider(
			credentials.NewStaticCredentialsProvider(id.Key.AccessKeyID, id.Key.SecretAccessKey, id.Key.SessionToken)))
	}
	c, err := config.LoadDefaultConfig(ctx, options...)
	if err != nil {
		return awsauth.Credentials{}, fmt.Errorf("load AWS configuration: %w", err)
	}
	provider := c.Credentials
	if id.Role != nil {
		provider = stscreds.NewAssumeRoleProvider(sts.NewFromConfig(c), id.Role.ARN, func(o *stscreds.AssumeRoleOptions) { assume(o, id.Role) })
	}
	got, err := provider.Retrieve(ctx)
	if err != nil {
		return awsauth.Credentials{}, fmt.Errorf("get AWS credentials: %w", err)
	}
	out := awsauth.Credentials{AccessKeyID: got.AccessKeyID, SecretAccessKey: got.SecretAccessKey, SessionToken: got.SessionToken}
	if got.CanExpire {
		out.Expires = got.Expires
	}
	return out, nil
}

func assume(o *stscreds.AssumeRoleOptions, role *ir.AWSRole) {
	o.RoleSessionName, o.Duration = role.SessionName, roleDuration
	if role.ExternalID != "" {
		o.ExternalID = aws.String(role.ExternalID)
	}
	for _, name := range slices.Sorted(maps.Keys(role.SessionTags)) {
		o.Tags = append(o.Tags, types.Tag{Key: aws.String(name), Value: aws.String(role.SessionTags[name])})
	}
}

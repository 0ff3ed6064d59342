// Package awsauth keeps AWS credentials for the backends that are asked with an
// AWS identity and not with a fixed key: fetched in the background, renewed well
// before they expire, kept while they are valid and their source is away.
//
//	Store.Use(backend, Identity) ──> Source ──Credentials──> the signer
//	        └── one goroutine for each Identity in use, none without
//
// A request never fetches. The network is in package chain alone: this one
// imports neither net/http nor AWS's SDK, so that package upstream may hold a
// [Source].
package awsauth

import (
	"fmt"
	"time"

	"github.com/citoroute/citoroute/internal/ir"
)

// Identity says who the proxy is towards AWS.
type Identity struct {
	// Region is where AWS's token service is asked.
	Region string
	// Key is a fixed access key. Without one the proxy is who its surroundings
	// say it is: environment, web identity, container, instance.
	Key Credentials
	// Role is assumed with that; nil: none is.
	Role *ir.AWSRole
}

// key is the same for two identities if and only if they are the same.
func (i *Identity) key() string {
	key := fmt.Sprintf("%q %q %q %q", i.Region, i.Key.AccessKeyID, i.Key.SecretAccessKey, i.Key.SessionToken)
	if i.Role != nil {
		key += fmt.Sprintf(" %q", *i.Role)
	}
	return key
}

// Credentials sign requests to AWS.
type Credentials struct {
	AccessKeyID, SecretAccessKey string
	// SessionToken is empty for a lasting key.
	SessionToken string
	// Expires is when AWS begins to refuse them; zero: never.
	Expires time.Time
}

// Format prints "[redacted]" for every verb.
func (Credentials) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte("[redacted]")) }

// validAt says whether AWS takes the credentials at that time.
func (c *Credentials) validAt(now time.Time) bool {
	return c != nil && (c.Expires.IsZero() || now.Before(c.Expires))
}

package bedrock

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/citoroute/citoroute/internal/ai/chat"
)

// service is Bedrock's name in a credential scope: not "bedrock-runtime".
const service = "bedrock"

// Signing is what a signature is made from.
type Signing struct {
	Credentials aws.Credentials
	Region      string
	// Host is the authority that the request will carry; it need not name the
	// region (a private endpoint).
	Host string
	// Path is the escaped path, base path included, as it will be sent.
	Path string
	// Header are the fields to sign besides Host.
	Header []chat.Field
	// Body is the final body, byte for byte.
	Body []byte
	Time time.Time
}

// Signer signs requests. It is quick with credentials that it has seen. Its zero
// value is ready, and it is safe for concurrent use.
type Signer struct {
	mutex  sync.Mutex
	byKeys map[keys]*v4.Signer
}

type keys struct{ accessKeyID, secretAccessKey string }

// maxKeys is how many credentials a Signer remembers. Temporary ones are
// replaced for as long as a process runs.
const maxKeys = 256

// with returns AWS's signer for c. It keeps the key that it derives from them
// for a day, and finds it by AccessKeyID alone: hence one for each secret.
func (s *Signer) with(c *aws.Credentials) *v4.Signer {
	k := keys{c.AccessKeyID, c.SecretAccessKey}
	s.mutex.Lock()
	defer s.mutex.Unlock()
	v, ok := s.byKeys[k]
	if !ok {
		if s.byKeys == nil || len(s.byKeys) == maxKeys {
			s.byKeys = map[keys]*v4.Signer{}
		}
		v = v4.NewSigner()
		s.byKeys[k] = v
	}
	return v
}

// proofNames are the fields that a signature makes.
var proofNames = [...]string{"Authorization", "X-Amz-Date", "X-Amz-Content-Sha256", "X-Amz-Security-Token"}

// Sign returns the header fields that prove the request: Authorization,
// X-Amz-Date, X-Amz-Content-Sha256 and, for temporary credentials,
// X-Amz-Security-Token. Every attempt must be signed anew.
// Source: AWS Signature Version 4.
func (s *Signer) Sign(ctx context.Context, in Signing) ([]chat.Field, error) {
	// The path is given as opaque, so that nobody takes it apart to see whether it
	// is escaped.
	r := &http.Request{
		Method:        http.MethodPost,
		URL:           &url.URL{Scheme: "https", Opaque: "//" + in.Host + in.Path},
		Host:          in.Host,
		Header:        make(http.Header, len(proofNames)+len(in.Header)),
		ContentLength: int64(len(in.Body)),
		Body:          http.NoBody,
	}
	for _, f := range in.Header {
		r.Header.Add(f.Name, f.Value)
	}
	sum := sha256.Sum256(in.Body)
	digest := hex.EncodeToString(sum[:])
	r.Header.Set("X-Amz-Content-Sha256", digest)
	if err := s.with(&in.Credentials).SignHTTP(ctx, in.Credentials, r, digest, service, in.Region, in.Time); err != nil {
		return nil, fmt.Errorf("sign request for Bedrock: %w", err)
	}
	out := make([]chat.Field, 0, len(proofNames))
	for _, name := range proofNames {
		if v := r.Header.Get(name); v != "" {
			out = append(out, chat.Field{Name: name, Value: v})
		}
	}
	return out, nil
}

// minSkew is from where on a difference of clocks may be why a signature was
// refused. AWS bears five minutes.
const minSkew = 4 * time.Minute

// ClockSkew says by how much the provider's clock is ahead of the one that a
// request was signed by, from the x-amzn-errortype and date header fields of
// the refusal. ok is false where the clocks are not why: signing anew would not
// help.
func ClockSkew(errorType, date string, signed time.Time) (d time.Duration, ok bool) {
	switch errorName(errorType) {
	case "InvalidSignatureException", "SignatureDoesNotMatch", "RequestTimeTooSkewed", "RequestExpired", "RequestInTheFuture":
	default:
		return 0, false
	}
	at, err := http.ParseTime(date)
	if err != nil {
		return 0, false
	}
	d = at.Sub(signed)
	return d, d.Abs() >= minSkew
}

// ExpiredCredentials says that AWS refused a request for its credentials, of
// which others may do better.
func ExpiredCredentials(errorType string) bool {
	switch errorName(errorType) {
	case "ExpiredTokenException", "UnrecognizedClientException":
		return true
	}
	return false
}

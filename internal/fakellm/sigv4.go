package fakellm

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	sigAlgorithm = "AWS4-HMAC-SHA256"
	sigTime      = "20060102T150405Z"
	// sigSkew is how far a signature's time may be off.
	sigSkew = 5 * time.Minute
)

// checkSignature verifies an AWS Signature Version 4 over the request as it
// came over the wire, written from Amazon's description of the process and not
// with its SDK, which the gateway signs with.
func checkSignature(r *http.Request, body []byte, service string, now time.Time) error {
	auth, err := parseAuthorization(r.Header.Get("Authorization"))
	if err != nil {
		return err
	}
	at, err := time.Parse(sigTime, r.Header.Get("X-Amz-Date"))
	secret, known := secretOf(auth.key, service, r.Header.Get("X-Amz-Security-Token"))
	switch {
	case err != nil:
		return unsigned("IncompleteSignatureException", "X-Amz-Date is missing or has the wrong form")
	case at.Sub(now).Abs() > sigSkew:
		return unsigned("InvalidSignatureException", "Signature expired or not yet valid: "+r.Header.Get("X-Amz-Date"))
	case auth.date != at.Format("20060102"):
		return unsigned("InvalidSignatureException", "Date in Credential scope does not match X-Amz-Date")
	case !known:
		return unsigned("UnrecognizedClientException", "The security token included in the request is invalid.")
	case auth.service != service:
		return unsigned("InvalidSignatureException", "Credential should be scoped to correct service: '"+service+"'.")
	}
	for _, must := range []string{"host", "x-amz-date"} {
		if !slices.Contains(auth.signed, must) {
			return unsigned("InvalidSignatureException", "'"+must+"' must be a 'SignedHeader' in the AWS Authorization.")
		}
	}
	if r.Header.Get("X-Amz-Security-Token") != "" && !slices.Contains(auth.signed, "x-amz-security-token") {
		return unsigned("InvalidSignatureException", "'x-amz-security-token' must be a 'SignedHeader' in the AWS Authorization.")
	}
	if sent := r.Header.Get("X-Amz-Content-Sha256"); sent != "" && sent != hash(body) {
		return unsigned("InvalidSignatureException", "X-Amz-Content-Sha256 does not match the body")
	}
	if !hmac.Equal([]byte(auth.signature), []byte(auth.sign(r, body, secret))) {
		return unsigned("InvalidSignatureException", "The request signature we calculated does not match the signature you provided.")
	}
	return nil
}

func unsigned(code, message string) error {
	return failure{status: http.StatusForbidden, code: code, message: message}
}

// authorization is the Authorization field of a signed request.
type authorization struct {
	key, date, region, service string
	signed                     []string
	signature                  string
}

func parseAuthorization(field string) (authorization, error) {
	var a authorization
	rest, ok := strings.CutPrefix(field, sigAlgorithm+" ")
	if !ok {
		return a, unsigned("MissingAuthenticationTokenException", "Missing Authentication Token")
	}
	for part := range strings.SplitSeq(rest, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		switch name {
		case "Credential":
			scope := strings.Split(value, "/")
			if len(scope) != 5 || scope[4] != "aws4_request" {
				return a, unsigned("IncompleteSignatureException", "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term")
			}
			a.key, a.date, a.region, a.service = scope[0], scope[1], scope[2], scope[3]
		case "SignedHeaders":
			a.signed = strings.Split(value, ";")
		case "Signature":
			a.signature = value
		default:
			return a, unsigned("IncompleteSignatureException", "Authorization header has an unknown part: "+name)
		}
	}
	switch {
	case a.key == "" || len(a.signed) == 0 || len(a.signature) != 64:
		return a, unsigned("IncompleteSignatureException", "Authorization header requires 'Credential', 'SignedHeaders' and 'Signature' parameters.")
	case !slices.IsSorted(a.signed):
		return a, unsigned("InvalidSignatureException", "SignedHeaders must be sorted")
	}
	return a, nil
}

// secretOf is the secret that belongs to a key of a service; known is false for
// a key that the service does not accept, or not with that session token.
func secretOf(key, service, token string) (secret string, known bool) {
	switch {
	case service == stsService && key == AssumerKeyID && token == "":
		return AssumerSecret, true
	case service != stsService && key == sessionKeyID:
		return sessionSecret, token == sessionToken
	case service != stsService && key == AccessKeyID:
		return SecretAccessKey, true
	}
	return "", false
}

// sign returns the signature that the request should have.
func (a authorization) sign(r *http.Request, body []byte, secret string) string {
	var canonical strings.Builder
	canonical.WriteString(r.Method + "\n" + canonicalPath(r) + "\n" + canonicalQuery(r.URL.Query()) + "\n")
	for _, name := range a.signed {
		canonical.WriteString(name + ":" + canonicalField(r, name) + "\n")
	}
	canonical.WriteString("\n" + strings.Join(a.signed, ";") + "\n" + hash(body))
	scope := a.date + "/" + a.region + "/" + a.service + "/aws4_request"
	toSign := sigAlgorithm + "\n" + r.Header.Get("X-Amz-Date") + "\n" + scope + "\n" + hash([]byte(canonical.String()))
	key := []byte("AWS4" + secret)
	for _, part := range []string{a.date, a.region, a.service, "aws4_request", toSign} {
		h := hmac.New(sha256.New, key)
		_, _ = h.Write([]byte(part)) // a hash takes every write
		key = h.Sum(nil)
	}
	return hex.EncodeToString(key)
}

// canonicalPath encodes every segment of the path, as it came over the wire,
// once more: all services but S3 ask for that.
func canonicalPath(r *http.Request) string {
	raw, _, _ := strings.Cut(r.RequestURI, "?")
	if raw == "" {
		raw = r.URL.EscapedPath()
	}
	segments := strings.Split(raw, "/")
	for i, s := range segments {
		segments[i] = awsEscape(s)
	}
	return strings.Join(segments, "/")
}

// canonicalQuery orders by the encoded name and then by the encoded value, not
// by both as one text: "a" comes before "a-b", though "-" comes before "=".
func canonicalQuery(q url.Values) string {
	var pairs [][2]string
	for name, values := range q {
		for _, v := range values {
			pairs = append(pairs, [2]string{awsEscape(name), awsEscape(v)})
		}
	}
	slices.SortFunc(pairs, func(a, b [2]string) int { return slices.Compare(a[:], b[:]) })
	out := make([]string, len(pairs))
	for i, p := range pairs {
		out[i] = p[0] + "=" + p[1]
	}
	return strings.Join(out, "&")
}

func canonicalField(r *http.Request, name string) string {
	if name == "host" {
		return r.Host
	}
	if name == "content-length" {
		return strconv.FormatInt(r.ContentLength, 10)
	}
	values := slices.Clone(r.Header.Values(name))
	for i, v := range values {
		values[i] = strings.Join(strings.Fields(v), " ")
	}
	return strings.Join(values, ",")
}

// awsEscape escapes everything but the unreserved characters of RFC 3986.
func awsEscape(s string) string {
	var out strings.Builder
	for _, c := range []byte(s) {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', strings.IndexByte("-_.~", c) >= 0:
			out.WriteByte(c)
		default:
			out.WriteString("%" + strings.ToUpper(hex.EncodeToString([]byte{c})))
		}
	}
	return out.String()
}

func hash(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

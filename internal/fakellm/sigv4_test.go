package fakellm

import (
	"bufio"
	"bytes"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	signer "github.com/citoroute/citoroute/internal/ai/bedrock"
	"github.com/citoroute/citoroute/internal/ai/chat"
)

// publishedCase is a case of AWS's own test suite for Signature Version 4.
type publishedCase struct {
	method, target string
	fields         []string
	body           string
	signed         string // the names of the signed fields
	signature      string
}

// publishedCases are those of AWS's suite by its names, all for 2015-08-30
// 12:36:00 UTC, us-east-1 and the service "service". Left out are those with a
// normalized path, which the gateway does not send, those with raw spaces and
// letters in the path, which no request line can have, and those that are the
// same request as another one. No Go module carries the suite.
func publishedCases() map[string]publishedCase {
	return map[string]publishedCase{
		"GetHeaderKeyDuplicate":            {method: "GET", target: "/", fields: []string{"My-Header1: value2", "My-Header1: value2", "My-Header1: value1"}, signed: "host;my-header1;x-amz-date", signature: "c9d5ea9f3f72853aea855b47ea873832890dbdd183b4468f858259531a5138ea"},
		"GetHeaderValueOrder":              {method: "GET", target: "/", fields: []string{"My-Header1: value4", "My-Header1: value1", "My-Header1: value3", "My-Header1: value2"}, signed: "host;my-header1;x-amz-date", signature: "08c7e5a9acfcfeb3ab6b2185e75ce8b1deb5e634ec47601a50643f830c755c01"},
		"GetHeaderValueTrim":               {method: "GET", target: "/", fields: []string{"My-Header1: value1", `My-Header2: "a   b   c"`}, signed: "host;my-header1;my-header2;x-amz-date", signature: "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736"},
		"GetUnreserved":                    {method: "GET", target: "/-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz", signed: "host;x-amz-date", signature: "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f"},
		"GetVanilla":                       {method: "GET", target: "/", signed: "host;x-amz-date", signature: "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
		"GetVanillaEmptyQueryKey":          {method: "GET", target: "/?Param1=value1", signed: "host;x-amz-date", signature: "a67d582fa61cc504c4bae71f336f98b97f1ea3c7a6bfe1b6e45aec72011b9aeb"},
		"GetVanillaQueryOrderKey":          {method: "GET", target: "/?Param1=value2&Param1=Value1", signed: "host;x-amz-date", signature: "eedbc4e291e521cf13422ffca22be7d2eb8146eecf653089df300a15b2382bd1"},
		"GetVanillaQueryOrderKeyCase":      {method: "GET", target: "/?Param2=value2&Param1=value1", signed: "host;x-amz-date", signature: "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"},
		"GetVanillaQueryOrderValue":        {method: "GET", target: "/?Param1=value2&Param1=value1", signed: "host;x-amz-date", signature: "5772eed61e12b33fae39ee5e7012498b51d56abc0abb7c60486157bd471c4694"},
		"GetVanillaQueryUnreserved":        {method: "GET", target: "/?-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz=-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz", signed: "host;x-amz-date", signature: "9c3e54bfcdf0b19771a7f523ee5669cdf59bc7cc0884027167c21bb143a40197"},
		"GetVanillaUtf8Query":              {method: "GET", target: "/?ሴ=bar", signed: "host;x-amz-date", signature: "2cdec8eed098649ff3a119c94853b13c643bcf08f8b0a1d91e12c9027818dd04"},
		"PostHeaderKeySort":                {method: "POST", target: "/", fields: []string{"My-Header1: value1"}, signed: "host;my-header1;x-amz-date", signature: "c5410059b04c1ee005303aed430f6e6645f61f4dc9e1461ec8f8916fdf18852c"},
		"PostHeaderValueCase":              {method: "POST", target: "/", fields: []string{"My-Header1: VALUE1"}, signed: "host;my-header1;x-amz-date", signature: "cdbc9802e29d2942e5e10b5bccfdd67c5f22c7c4e8ae67b53629efa58b974b7d"},
		"PostVanilla":                      {method: "POST", target: "/", signed: "host;x-amz-date", signature: "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"},
		"PostVanillaEmptyQueryValue":       {method: "POST", target: "/?Param1=value1", signed: "host;x-amz-date", signature: "28038455d6de14eafc1f9222cf5aa6f1a96197d7deb8263271d420d138af7f11"},
		"PostXWwwFormUrlencoded":           {method: "POST", target: "/", fields: []string{"Content-Type: application/x-www-form-urlencoded", "Content-Length: 13"}, body: "Param1=value1", signed: "content-type;host;x-amz-date", signature: "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a"},
		"PostXWwwFormUrlencodedParameters": {method: "POST", target: "/", fields: []string{"Content-Type: application/x-www-form-urlencoded; charset=utf8", "Content-Length: 13"}, body: "Param1=value1", signed: "content-type;host;x-amz-date", signature: "1a72ec8f64bd914b0e42e42607c7fbce7fb2c7465f63e3092b3b0d39fa77a6fe"},
		"PostStsHeaderBefore":              {method: "POST", target: "/", fields: []string{"X-Amz-Security-Token: AQoDYXdzEPT//////////wEXAMPLEtc764bNrC9SAPBSM22wDOk4x4HIZ8j4FZTwdQWLWsKWHGBuFqwAeMicRXmxfpSPfIeoIYRqTflfKD8YUuwthAx7mSEI/qkPpKPi/kMcGdQrmGdeehM4IC1NtBmUpp2wUE8phUZampKsburEDy0KPkyQDYwT7WZ0wq5VSXDvp75YU9HFvlRd8Tx6q6fE8YQcHNVXAkiY9q6d+xo0rKwT38xVqr7ZD0u0iPPkUL64lIZbqBAz+scqKmlzm8FDrypNC9Yjc8fPOLn9FX9KSYvKTr4rvx3iSIlTJabIQwj2ICCR/oLxBA=="}, signed: "host;x-amz-date;x-amz-security-token", signature: "85d96828115b5dc0cfc3bd16ad9e210dd772bbebba041836c64533a82be05ead"},
		"GetRelativeUnnormalized":          {method: "GET", target: "/example/..", signed: "host;x-amz-date", signature: "eca7ead57bb5aa5c8e28007acd4ff04e1ff9a0ff3b237ec1554a184887ff9282"},
		"GetRelativeRelativeUnnormalized":  {method: "GET", target: "/example1/example2/../..", signed: "host;x-amz-date", signature: "dc33e0856fd4baca4d7aa2146c38958283844764f38c74252a333df5e613003b"},
		"GetSlashUnnormalized":             {method: "GET", target: "//", signed: "host;x-amz-date", signature: "c88bcd3d312d75078c0cd961d6deae3f4c754924b01669efcfcb439fd5e5b76e"},
		"GetSlashDotSlashUnnormalized":     {method: "GET", target: "/./", signed: "host;x-amz-date", signature: "68714168e6557f8f2de0ef956fc24dc2593a4bd2961f8df51898d8a134695145"},
		"GetSlashPointlessDotUnnormalized": {method: "GET", target: "/./example", signed: "host;x-amz-date", signature: "beb03f223f7deae4146464f06e29eebbee9c8afbe15c290cf07aa8b119e14cff"},
		"GetSlashesUnnormalized":           {method: "GET", target: "//example//", signed: "host;x-amz-date", signature: "87cca117541a147f6df867677d98a7d80dff226d2bfca9e4ffa899665623c7e5"},
		"GetVanillaQueryOrderEncoded":      {method: "GET", target: "/?Param-3=Value3&Param=Value2&%E1%88%B4=Value1", signed: "host;x-amz-date", signature: "371d3713e185cc334048618a97f809c9ffe339c62934c032af5a0e595648fcac"},
		"GetVanillaWithSessionToken":       {method: "GET", target: "/", fields: []string{"X-Amz-Security-Token: 6e86291e8372ff2a2260956d9b8aae1d763fbf315fa00fa31553b73ebf194267"}, signed: "host;x-amz-date;x-amz-security-token", signature: "07ec1639c89043aa0e3e2de82b96708f198cceab042d4a97044c66dd9f74e7f8"},
	}
}

// TestT81_AWSTestSuite holds both sides against AWS's published signatures: the
// signer that the gateway uses, and the check of the fake, which shares no code
// with it.
func TestT81_AWSTestSuite(t *testing.T) {
	at := time.Date(2015, 8, 30, 12, 36, 0, 0, time.UTC)
	for name, c := range publishedCases() {
		t.Run(name, func(t *testing.T) {
			r := c.request(t, at)
			fake := authorization{
				key: AccessKeyID, date: "20150830", region: "us-east-1", service: "service", signed: strings.Split(c.signed, ";"),
			}
			if got := fake.sign(r, []byte(c.body), SecretAccessKey); got != c.signature {
				t.Errorf("the fake expects %s, want %s", got, c.signature)
			}
			token := r.Header.Get("X-Amz-Security-Token")
			key := aws.Credentials{AccessKeyID: AccessKeyID, SecretAccessKey: SecretAccessKey, SessionToken: token}
			if !strings.Contains(c.signed, "content-length") {
				r.ContentLength = 0 // AWS's signer signs it where it is set, AWS's suite in one case only
			}
			if err := v4.NewSigner().SignHTTP(t.Context(), key, r, hash([]byte(c.body)), "service", "us-east-1", at); err != nil {
				t.Fatal(err)
			}
			want := "SignedHeaders=" + c.signed + ", Signature=" + c.signature
			if got := r.Header.Get("Authorization"); !strings.HasSuffix(got, want) {
				t.Errorf("signed %s, want %s", got, want)
			}
		})
	}
}

func (c publishedCase) request(t *testing.T, at time.Time) *http.Request {
	t.Helper()
	path, query, _ := strings.Cut(c.target, "?")
	r := httptest.NewRequestWithContext(t.Context(), c.method, "/", strings.NewReader(c.body))
	r.URL.Path, r.URL.RawQuery, r.RequestURI = path, query, c.target
	r.Host, r.URL.Host = "example.amazonaws.com", "example.amazonaws.com"
	for _, f := range c.fields {
		name, value, _ := strings.Cut(f, ": ")
		r.Header.Add(name, value)
	}
	r.Header.Set("X-Amz-Date", at.Format(sigTime))
	return r
}

// signedRequest is a request for Bedrock as it comes over the wire.
func signedRequest(t *testing.T, s signer.Signing) *http.Request {
	t.Helper()
	proof, err := new(signer.Signer).Sign(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	var wire bytes.Buffer
	wire.WriteString("POST " + s.Path + " HTTP/1.1\r\nHost: " + s.Host + "\r\n")
	for _, f := range append(proof, s.Header...) {
		wire.WriteString(f.Name + ": " + f.Value + "\r\n")
	}
	wire.WriteString("Content-Length: " + strconv.Itoa(len(s.Body)) + "\r\n\r\n")
	r, err := http.ReadRequest(bufio.NewReader(&wire))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func signing(at time.Time) signer.Signing {
	return signer.Signing{
		Credentials: aws.Credentials{AccessKeyID: AccessKeyID, SecretAccessKey: SecretAccessKey},
		Region:      "us-east-1",
		Host:        "bedrock-runtime.us-east-1.amazonaws.com",
		Path:        "/model/amazon.nova-lite-v1%3A0/converse",
		Header:      []chat.Field{{Name: "content-type", Value: "application/json"}},
		Body:        []byte(`{"messages":[]}`),
		Time:        at,
	}
}

func TestT81_Bedrock(t *testing.T) {
	at := time.Date(2026, 11, 28, 8, 0, 0, 0, time.UTC)
	for name, change := range map[string]func(*signer.Signing){
		"Model": func(*signer.Signing) {},
		"ARNPath": func(s *signer.Signing) {
			s.Path = "/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A123456789012%3Ainference-profile%2Fus.amazon.nova-lite-v1%3A0/converse-stream"
		},
		"BasePath":     func(s *signer.Signing) { s.Path = "/proxy/bedrock" + s.Path },
		"EncodedTwice": func(s *signer.Signing) { s.Path = "/model/a%2520b%2B%C3%A9%25/converse" },
		"SessionToken": func(s *signer.Signing) { s.Credentials.SessionToken = "AQoDYXdzEPT//////////wEXAMPLE==" },
		"HostWithPort": func(s *signer.Signing) { s.Host = "127.0.0.1:9090" },
		"EmptyBody":    func(s *signer.Signing) { s.Body = nil },
		"FieldsWithSpace": func(s *signer.Signing) {
			s.Header = append(s.Header, chat.Field{Name: "x-amzn-bedrock-trace", Value: "  a   b  "})
		},
		"FieldTwice": func(s *signer.Signing) {
			s.Header = append(s.Header, chat.Field{Name: "x-a", Value: "2"}, chat.Field{Name: "x-a", Value: "1"})
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := signing(at)
			change(&s)
			r := signedRequest(t, s)
			if err := checkSignature(r, s.Body, bedrockService, at); err != nil {
				t.Error(err)
			}
			if got := r.Header.Get("X-Amz-Content-Sha256"); got != hash(s.Body) {
				t.Errorf("X-Amz-Content-Sha256 %s", got)
			}
			auth, err := parseAuthorization(r.Header.Get("Authorization"))
			if err != nil || auth.service != "bedrock" || auth.region != "us-east-1" {
				t.Errorf("scope %+v, %v", auth, err)
			}
		})
	}
}

// TestT84_AnotherEndpointKeepsTheRegion: a host says nothing of the region that
// a signature is for.
func TestT84_AnotherEndpointKeepsTheRegion(t *testing.T) {
	at := time.Date(2026, 11, 28, 8, 0, 0, 0, time.UTC)
	for _, host := range []string{
		"vpce-0123-abcd.bedrock-runtime.eu-central-1.vpce.amazonaws.com", "bedrock-runtime-fips.us-east-1.amazonaws.com",
		"bedrock-runtime.us-west-2.api.aws", "bedrock.proxy.internal:8443", "10.0.0.7",
	} {
		t.Run(host, func(t *testing.T) {
			s := signing(at)
			s.Host, s.Region = host, "eu-central-1"
			r := signedRequest(t, s)
			if err := checkSignature(r, s.Body, bedrockService, at); err != nil {
				t.Error(err)
			}
			if auth, err := parseAuthorization(r.Header.Get("Authorization")); err != nil || auth.region != "eu-central-1" {
				t.Errorf("signed for %s, %v", auth.region, err)
			}
		})
	}
}

func TestT81_WhatIsChangedIsRefused(t *testing.T) {
	at := time.Date(2026, 11, 28, 8, 0, 0, 0, time.UTC)
	for name, change := range map[string]func(r *http.Request, body *[]byte){
		"Body":        func(_ *http.Request, body *[]byte) { *body = []byte(`{"messages":[] }`) },
		"Path":        func(r *http.Request, _ *[]byte) { r.RequestURI = "/model/other/converse" },
		"DecodedPath": func(r *http.Request, _ *[]byte) { r.RequestURI = "/model/amazon.nova-lite-v1:0/converse" },
		"Query":       func(r *http.Request, _ *[]byte) { r.URL = &url.URL{Path: r.URL.Path, RawQuery: "a=b"} },
		"Host":        func(r *http.Request, _ *[]byte) { r.Host = "elsewhere" },
		"Token":       func(r *http.Request, _ *[]byte) { r.Header.Set("X-Amz-Security-Token", "other") },
		"NoToken":     func(r *http.Request, _ *[]byte) { r.Header.Del("X-Amz-Security-Token") },
		"Hash":        func(r *http.Request, _ *[]byte) { r.Header.Set("X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD") },
		"Date":        func(r *http.Request, _ *[]byte) { r.Header.Set("X-Amz-Date", at.Add(time.Second).Format(sigTime)) },
	} {
		t.Run(name, func(t *testing.T) {
			s := signing(at)
			s.Credentials.SessionToken = "token"
			r, body := signedRequest(t, s), s.Body
			change(r, &body)
			if err := checkSignature(r, body, bedrockService, at); err == nil {
				t.Error("it is accepted")
			}
		})
	}
	s := signing(at)
	for _, now := range []time.Time{at.Add(sigSkew + time.Second), at.Add(-sigSkew - time.Second)} {
		if err := checkSignature(signedRequest(t, s), s.Body, bedrockService, now); err == nil {
			t.Errorf("a signature of %s is accepted at %s", at, now)
		}
	}
}

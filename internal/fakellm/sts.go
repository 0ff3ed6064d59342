package fakellm

import (
	"encoding/xml"
	"io"
	"net/http"
	"net/url"
	"time"
)

// Names of services in signatures.
const (
	bedrockService = "bedrock"
	stsService     = "sts"
)

// The one role that can be assumed, and what its trust policy asks for.
const (
	RoleARN    = "arn:aws:iam::123456789012:role/bedrock"
	ExternalID = "shop"
)

// What the role's session signs with.
const (
	sessionKeyID  = "ASIAFAKESESSION"
	sessionSecret = "fake-secret-of-the-role's-session"
	sessionToken  = "fake-token-of-the-role's-session"

	sessionLength = time.Hour
)

// assumeRole is AWS's token service, as far as it hands out sessions of a role.
func (s *Server) assumeRole(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody))
	if err == nil {
		err = s.mayAssume(r, body)
	}
	out := outcomeOK
	if err != nil {
		out = outcomeRejected
		f := asFailure(err)
		writeXML(w, f.status, stsError{Type: "Sender", Code: f.code, Message: f.message})
	} else {
		writeXML(w, http.StatusOK, stsSession{
			sessionKeyID, sessionSecret, sessionToken, s.opts.Now().Add(sessionLength).UTC().Format(time.RFC3339),
		})
	}
	s.ledger.book(stsService, prompt{}, out, usage{})
}

// mayAssume says what is wrong with a request for a session.
func (s *Server) mayAssume(r *http.Request, body []byte) error {
	if err := checkSignature(r, body, stsService, s.opts.Now()); err != nil {
		return err
	}
	form, err := url.ParseQuery(string(body))
	switch {
	case err != nil || form.Get("Action") != "AssumeRole" || form.Get("Version") != "2011-06-15":
		return failure{status: http.StatusBadRequest, code: "InvalidAction", message: "Could not find operation " + form.Get("Action")}
	case form.Get("RoleSessionName") == "":
		return failure{status: http.StatusBadRequest, code: "ValidationError", message: "1 validation error detected: Value null at 'roleSessionName'"}
	case form.Get("RoleArn") != RoleARN || form.Get("ExternalId") != ExternalID:
		return unsigned("AccessDenied", "User is not authorized to perform: sts:AssumeRole on resource: "+form.Get("RoleArn"))
	}
	return nil
}

type stsSession struct {
	AccessKeyID     string `xml:"AssumeRoleResult>Credentials>AccessKeyId"`
	SecretAccessKey string `xml:"AssumeRoleResult>Credentials>SecretAccessKey"`
	SessionToken    string `xml:"AssumeRoleResult>Credentials>SessionToken"`
	Expiration      string `xml:"AssumeRoleResult>Credentials>Expiration"`
}

type stsError struct {
	Type    string `xml:"Error>Type"`
	Code    string `xml:"Error>Code"`
	Message string `xml:"Error>Message"`
}

func writeXML(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "text/xml")
	w.WriteHeader(status)
	_ = xml.NewEncoder(w).Encode(v) // a client that left needs no answer
}

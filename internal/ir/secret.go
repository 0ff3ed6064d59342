package ir

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
)

// Bytes are secret: they print, and marshal, as "[redacted]" everywhere but
// in [Encode].
type Bytes []byte

const redacted = "[redacted]"

// String returns "[redacted]".
func (Bytes) String() string { return redacted }

// GoString returns "[redacted]".
func (Bytes) GoString() string { return redacted }

// Format prints "[redacted]" for every verb.
func (Bytes) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(redacted)) }

// MarshalJSON returns "[redacted]".
func (Bytes) MarshalJSON() ([]byte, error) { return []byte(`"` + redacted + `"`), nil }

// Secret holds certificates, keys, certificate authorities or credentials.
type Secret struct {
	Name   string `json:"name"` // secret/<namespace>/<name>, configmap/…, apikeys/…
	Source Source `json:"source"`
	// Certificate and Key are PEM; the certificate is a chain, leaf first.
	Certificate []byte `json:"certificate,omitempty"`
	Key         Bytes  `json:"key,omitempty"`
	// CA is a PEM bundle.
	CA []byte `json:"ca,omitempty"`
	// Values holds credentials by their key in the Secret.
	Values map[string]Bytes `json:"values,omitempty"`
}

// ResourceType implements [Resource].
func (*Secret) ResourceType() Type { return TypeSecret }

// ResourceName implements [Resource].
func (s *Secret) ResourceName() string { return s.Name }

// wireSecret is the only form in which secret bytes leave the process.
type wireSecret struct{ *Secret }

type secretJSON struct {
	Name        string            `json:"name"`
	Source      Source            `json:"source"`
	Certificate []byte            `json:"certificate,omitempty"`
	Key         []byte            `json:"key,omitempty"`
	CA          []byte            `json:"ca,omitempty"`
	Values      map[string]string `json:"values,omitempty"`
}

// MarshalJSON includes the secret bytes.
func (w wireSecret) MarshalJSON() ([]byte, error) {
	out := secretJSON{Name: w.Name, Source: w.Source, Certificate: w.Certificate, Key: w.Key, CA: w.CA}
	if w.Values != nil {
		out.Values = make(map[string]string, len(w.Values))
		for k, v := range w.Values {
			out.Values[k] = base64.StdEncoding.EncodeToString(v)
		}
	}
	return json.Marshal(out)
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (w wireSecret) UnmarshalJSON(b []byte) error {
	var in secretJSON
	if err := json.Unmarshal(b, &in); err != nil {
		return err
	}
	*w.Secret = Secret{Name: in.Name, Source: in.Source, Certificate: in.Certificate, Key: in.Key, CA: in.CA}
	if in.Values == nil {
		return nil
	}
	w.Values = make(map[string]Bytes, len(in.Values))
	for k, v := range in.Values {
		raw, err := base64.StdEncoding.DecodeString(v)
		if err != nil {
			return fmt.Errorf("value %q: %w", k, err)
		}
		w.Values[k] = raw
	}
	return nil
}

// wire returns what Encode and Decode hand to encoding/json.
func wire(r Resource) any {
	if s, ok := r.(*Secret); ok {
		return &wireSecret{s}
	}
	return r
}

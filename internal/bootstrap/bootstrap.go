// Package bootstrap is the file that a proxy starts from: who it is, where its
// controllers are, and the settings that must be known before the first
// configuration arrives. The controller writes it into a ConfigMap per
// Gateway, as TOML.
package bootstrap

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/pelletier/go-toml/v2"
)

// Sources of configuration.
const (
	SourceStream = "stream" // from a controller
	SourceFile   = "file"   // from a mounted file alone
)

// Config is a proxy's bootstrap.
type Config struct {
	// Node is whose resources the proxy asks for: gateway/<namespace>/<name> or
	// mesh/<namespace>.
	Node string `toml:"node"`
	// Source is SourceStream or SourceFile.
	Source string `toml:"source"`
	Stream Stream `toml:"stream,omitempty"`
	File   File   `toml:"file,omitempty"`
	// Admin is the loopback address of readiness, metrics and the config dump.
	Admin string `toml:"admin"`
	// Metrics is the address of /metrics and /readyz for Prometheus and the
	// kubelet; empty: only Admin serves them.
	Metrics string `toml:"metrics,omitempty"`
	// StateDir holds the last good configuration; empty: none is kept.
	StateDir string   `toml:"state_dir,omitempty"`
	Capture  Capture  `toml:"capture,omitempty"`
	Issuers  Issuers  `toml:"issuers,omitempty"`
	Log      Log      `toml:"log"`
	Tracing  Tracing  `toml:"tracing,omitempty"`
	Push     Push     `toml:"push,omitempty"`
	Timeouts Timeouts `toml:"timeouts"`
}

// Stream says how to reach the controllers.
type Stream struct {
	// Servers are host:port addresses; any one serves.
	Servers []string `toml:"servers"`
	// ServerName is checked against the controller's certificate.
	ServerName string `toml:"server_name"`
	// CAFile is the PEM bundle that signs it; it is read again when it changes.
	CAFile string `toml:"ca_file"`
	// TokenFile holds the proxy's ServiceAccount token, audience "citoroute".
	TokenFile string `toml:"token_file"`
}

// File is a mounted configuration.
type File struct {
	Path string `toml:"path"`
}

const (
	// CapturePort is where the connections of a meshed pod are redirected to.
	CapturePort = 15001
	// SidecarUserID is whom a sidecar runs as. What it sends goes straight on: it
	// would come back to it for ever otherwise.
	SidecarUserID = 15001
)

// Capture says where a sidecar takes the connections of its pod; a gateway's
// proxy does not look at it.
type Capture struct {
	// Port is bound on loopback; 0: CapturePort.
	Port uint16 `toml:"port,omitempty"`
}

// Issuers says where keys of token issuers may be fetched besides the internet.
type Issuers struct {
	// Networks are those of issuers nearby; keys may come from there over http
	// too.
	Networks []netip.Prefix `toml:"networks,omitempty"`
}

// Log says what is written to standard error and standard output.
type Log struct {
	Level  string `toml:"level"`  // debug, info, warn or error
	Access bool   `toml:"access"` // one JSON line per request on standard output
}

// Tracing says where spans go.
type Tracing struct {
	// Endpoint is the base URL of an OTLP collector, such as
	// http://collector:4318; empty: there is no tracing.
	Endpoint string `toml:"endpoint,omitempty"`
	// Protocol is "http/protobuf", also where empty, or "grpc".
	Protocol string `toml:"protocol,omitempty"`
	// Ratio, 0 to 1, is the share of requests that are recorded where the
	// caller has not decided.
	Ratio float64 `toml:"ratio,omitempty"`
}

// Push says where metrics are sent, besides being served.
type Push struct {
	// Endpoint is the base URL of an OTLP collector; empty: nothing is sent.
	Endpoint string `toml:"endpoint,omitempty"`
	// Protocol is "http/protobuf", also where empty, or "grpc".
	Protocol string `toml:"protocol,omitempty"`
	// Interval is the time from one push to the next, 1 s or more; 0: a minute.
	Interval Duration `toml:"interval,omitempty"`
}

// Timeouts of client connections. Zero values are replaced by Default's.
type Timeouts struct {
	Header Duration `toml:"header"` // from first byte to end of the request head
	Idle   Duration `toml:"idle"`   // between requests, and between bytes of a body
	Drain  Duration `toml:"drain"`  // for requests in flight when a listener or the proxy stops
}

// Duration is a time.Duration written like "30s".
type Duration time.Duration

// MarshalText implements encoding.TextMarshaler.
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *Duration) UnmarshalText(b []byte) error {
	v, err := time.ParseDuration(string(b))
	if err != nil {
		return err
	}
	*d = Duration(v)
	return nil
}

// Default returns the settings that hold where a file is silent.
func Default() Config {
	return Config{
		Source: SourceStream,
		Admin:  "127.0.0.1:15000",
		Log:    Log{Level: "info"},
		Timeouts: Timeouts{
			Header: Duration(10 * time.Second),
			Idle:   Duration(60 * time.Second),
			Drain:  Duration(30 * time.Second),
		},
	}
}

// sidecarIdle is longer than programs leave their connections alone: a sidecar
// that closed one of those first would be noticed.
const sidecarIdle = Duration(time.Hour)

// DefaultSidecar returns the settings of a sidecar where nobody says otherwise.
// Most of them are Default's.
func DefaultSidecar() Config {
	c := Default()
	c.Capture.Port = CapturePort
	c.Timeouts.Idle = sidecarIdle
	return c
}

// Parse reads a bootstrap file's contents over Default. The error names the
// field that is wrong.
func Parse(b []byte) (Config, error) {
	c := Default()
	if err := toml.Unmarshal(b, &c); err != nil {
		return Config{}, fmt.Errorf("parse bootstrap: %w", err)
	}
	return c, c.check()
}

// Marshal returns the TOML form of c.
func (c Config) Marshal() ([]byte, error) {
	b, err := toml.Marshal(c)
	if err != nil {
		return nil, fmt.Errorf("marshal bootstrap: %w", err)
	}
	return b, nil
}

func (c Config) check() error {
	switch {
	case c.Source == SourceFile && c.File.Path == "":
		return errors.New(`file.path: required with source = "file"`)
	case c.Source == SourceStream && c.Node == "":
		return errors.New(`node: required with source = "stream"`)
	case c.Source == SourceStream && len(c.Stream.Servers) == 0:
		return errors.New(`stream.servers: required with source = "stream"`)
	case c.Source != SourceFile && c.Source != SourceStream:
		return fmt.Errorf("source: %q is neither %q nor %q", c.Source, SourceStream, SourceFile)
	}
	return nil
}

// Package admin serves what operators and the kubelet ask a proxy: readiness,
// metrics, the configuration with secrets redacted, and the log level. It
// listens apart from traffic and is plain net/http.
package admin

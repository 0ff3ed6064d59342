// Package source is where a proxy's configuration comes from: a mounted file
// or a controller's stream, and the last good configuration kept on disk for
// the time that neither answers. It imports no Kubernetes package.
package source

// Package crd carries the CustomResourceDefinitions of citoroute.io, so that
// programs can check objects without a cluster.
package crd

import "embed"

// Files holds bases/*.yaml.
//
//go:embed bases/*.yaml
var Files embed.FS

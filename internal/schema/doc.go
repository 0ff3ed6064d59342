// Package schema checks objects of custom kinds exactly as an API server does
// before it stores them: unknown fields, defaults, structural validation, list
// uniqueness and CEL rules, with the same messages. It knows the kinds of the
// Gateway API (version 1.7.0, experimental channel) and of citoroute.io.
//
// The schemas are compiled when a kind is first seen, so a program pays only
// for what it reads.
package schema

//go:generate go run ./gatewayapi/generate.go -out gatewayapi

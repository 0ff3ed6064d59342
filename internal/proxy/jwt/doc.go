// Package jwt says whether a bearer token is valid, and what it claims
// (RFC 6750, RFC 7515 to 7519, RFC 8725). Signatures are checked by
// golang-jwt; everything that its callers must get right is here: which
// algorithms and keys are acceptable, that nothing in a token can be read in
// two ways, and that claims have the types that they must have.
//
// It has no clock and no network: keys come from package jwks.
package jwt

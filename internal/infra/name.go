package infra

import (
	"crypto/sha256"
	"encoding/hex"
	"net/netip"
	"strings"
)

const (
	// maxLabel is the longest DNS label, and the longest value of a label.
	maxLabel = 63
	hashLen  = 8
)

// objectName returns the name of every object of a Gateway: <gateway>-<class>, as
// GEP-1762 recommends. It is always a DNS label that starts with a letter, as
// Services demand: a name that cannot be one as it stands is shortened and
// ends in a hash, so that different Gateways never share a name.
func objectName(gateway, class string) string {
	full := gateway + "-" + class
	name := strings.ReplaceAll(full, ".", "-")
	if c := name[0]; c >= '0' && c <= '9' {
		name = "gw-" + name
	}
	if name == full && len(name) <= maxLabel {
		return name
	}
	return shorten(name, full)
}

// furtherName returns the name of the Service that asks for one more address for
// the Gateway whose objects are called own.
func furtherName(own string, address netip.Addr) string {
	full := own + "-" + address.String()
	return shorten(strings.NewReplacer(".", "-", ":", "-", "%", "-").Replace(full), full)
}

// LabelValue returns s where it fits in the value of a label, else a
// shortened form that ends in a hash.
func LabelValue(s string) string {
	if len(s) <= maxLabel {
		return s
	}
	return shorten(s, s)
}

// shorten cuts name so that it fits together with the hash of full.
func shorten(name, full string) string {
	sum := sha256.Sum256([]byte(full))
	if keep := maxLabel - hashLen - 1; len(name) > keep {
		name = name[:keep]
	}
	return strings.TrimRight(name, "-.") + "-" + hex.EncodeToString(sum[:])[:hashLen]
}

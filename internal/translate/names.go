package translate

import (
	"fmt"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// Prefixes of resource names. A name says all that is needed to translate the
// resource: see [Resource].
const (
	prefixService   = "service/"
	prefixLLM       = "llm/"
	prefixJWT       = "jwtvalidationpolicy/"
	prefixConsumer  = "consumer/"
	prefixLimits    = "llmlimitpolicy/"
	prefixPrices    = "llmpricetable/"
	prefixSecret    = "secret/"
	prefixConfigMap = "configmap/"
	// prefixAPIKeys marks what proxies get of a Secret with hashes of keys.
	prefixAPIKeys = "apikeys/"
	// suffixH2C marks a Service port that is spoken to in HTTP/2 because of the
	// route that uses it, whatever its appProtocol says.
	suffixH2C = "+h2c"
	// suffixUDP marks a UDP port of a Service, which may have a TCP port of the
	// same number.
	suffixUDP = "+udp"
	// noEndpoints names the Endpoints of a backend that must not be reached.
	noEndpoints = "none"
)

// servicePort names a port of a Service, and how it is spoken to.
type servicePort struct {
	service Key
	port    int32
	h2c     bool
	udp     bool
}

// protocol is that of the port.
func (p servicePort) protocol() corev1.Protocol { return transport{udp: p.udp}.protocol() }

// endpoints returns the name of the port's Endpoints resource.
func (p servicePort) endpoints() string {
	name := fmt.Sprintf("%s%s/%s:%d", prefixService, p.service.Namespace, p.service.Name, p.port)
	if p.udp {
		return name + suffixUDP
	}
	return name
}

// backend returns the name of the port's Backend resource.
func (p servicePort) backend() string {
	if p.h2c {
		return p.endpoints() + suffixH2C
	}
	return p.endpoints()
}

// parseServicePort is the inverse of backend and of endpoints.
func parseServicePort(name string) (servicePort, bool) {
	rest, ok := strings.CutPrefix(name, prefixService)
	if !ok {
		return servicePort{}, false
	}
	rest, h2c := strings.CutSuffix(rest, suffixH2C)
	rest, udp := strings.CutSuffix(rest, suffixUDP)
	namespace, rest, ok1 := strings.Cut(rest, "/")
	service, port, ok2 := strings.Cut(rest, ":")
	n, err := strconv.ParseInt(port, 10, 32)
	if !ok1 || !ok2 || err != nil {
		return servicePort{}, false
	}
	return servicePort{service: Key{KindService, namespace, service}, port: int32(n), h2c: h2c, udp: udp}, true
}

// objectName returns the resource name that stands for an object, such as
// secret/<namespace>/<name>.
func objectName(prefix string, key Key) string {
	return prefix + key.Namespace + "/" + key.Name
}

// parseObjectName is the inverse of objectName.
func parseObjectName(prefix string, kind Kind, name string) (Key, bool) {
	rest, ok := strings.CutPrefix(name, prefix)
	if !ok {
		return Key{}, false
	}
	namespace, object, ok := strings.Cut(rest, "/")
	return Key{kind, namespace, object}, ok
}

package inject

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// Annotations by which a pod's author changes its sidecar.
const (
	annotationPorts       = "citoroute.io/exclude-outbound-ports"
	annotationCIDRs       = "citoroute.io/exclude-outbound-cidrs"
	annotationCPU         = "citoroute.io/proxy-cpu"
	annotationMemory      = "citoroute.io/proxy-memory"
	annotationCPULimit    = "citoroute.io/proxy-cpu-limit"
	annotationMemoryLimit = "citoroute.io/proxy-memory-limit"
)

// settings are what a pod's annotations say about its sidecar.
type settings struct {
	excludePorts []uint16
	excludeCIDRs []netip.Prefix
	// resources are those of each of the two containers. The first has ended
	// before the second starts, so a pod's size grows by one of them.
	resources corev1.ResourceRequirements
}

// reader reads annotations and keeps what is wrong with them.
type reader struct {
	annotations map[string]string
	errs        field.ErrorList
}

func readSettings(annotations map[string]string) (*settings, field.ErrorList) {
	r := &reader{annotations: annotations}
	s := &settings{
		excludePorts: list(r, annotationPorts, parsePort, "ports from 1 to 65535, separated by commas"),
		excludeCIDRs: list(r, annotationCIDRs, parseCIDR, "addresses or networks such as 10.0.0.0/8, separated by commas"),
		resources: corev1.ResourceRequirements{
			Requests: corev1.ResourceList{
				corev1.ResourceCPU:    r.quantity(annotationCPU, resource.MustParse("10m")),
				corev1.ResourceMemory: r.quantity(annotationMemory, resource.MustParse("32Mi")),
			},
		},
	}
	r.limit(&s.resources, corev1.ResourceCPU, annotationCPULimit)
	r.limit(&s.resources, corev1.ResourceMemory, annotationMemoryLimit)
	return s, r.errs
}

const (
	// maxExcluded is how many ports, and networks, may be excluded: each is a rule
	// that the kernel tries for each connection.
	maxExcluded = 100
	// maxShown is how much of a wrong value is repeated, in bytes.
	maxShown = 256
)

func (r *reader) refuse(name, detail string) {
	value := r.annotations[name]
	if len(value) > maxShown {
		value = value[:maxShown] + "..."
	}
	r.errs = append(r.errs, field.Invalid(field.NewPath("metadata", "annotations").Key(name), value, detail))
}

// list reads values that are separated by commas.
func list[T any](r *reader, name string, parse func(string) (T, error), want string) []T {
	value := strings.TrimSpace(r.annotations[name])
	if value == "" {
		return nil
	}
	var out []T
	for word := range strings.SplitSeq(value, ",") {
		if len(out) == maxExcluded {
			r.refuse(name, fmt.Sprintf("must be at most %d %s", maxExcluded, want))
			return nil
		}
		v, err := parse(strings.TrimSpace(word))
		if err != nil {
			r.refuse(name, "must be "+want)
			return nil
		}
		out = append(out, v)
	}
	return out
}

func parsePort(s string) (uint16, error) {
	port, err := strconv.ParseUint(s, 10, 16)
	if err == nil && port == 0 {
		err = strconv.ErrRange
	}
	return uint16(port), err
}

// parseCIDR reads a network, or one address.
func parseCIDR(s string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(s); err == nil && a.Zone() == "" {
		a = a.Unmap()
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	p, err := netip.ParsePrefix(s)
	return p.Masked(), err
}

func (r *reader) quantity(name string, standard resource.Quantity) resource.Quantity {
	value, ok := r.annotations[name]
	if !ok {
		return standard
	}
	q, err := resource.ParseQuantity(strings.TrimSpace(value))
	if err != nil || q.Sign() <= 0 {
		r.refuse(name, "must be a quantity greater than zero, such as 100m or 64Mi")
		return standard
	}
	return q
}

// limit adds a limit to resources. A request that nobody has set is at most
// the limit.
func (r *reader) limit(to *corev1.ResourceRequirements, kind corev1.ResourceName, name string) {
	if _, ok := r.annotations[name]; !ok {
		return
	}
	request := to.Requests[kind]
	limit := r.quantity(name, request)
	requested := map[corev1.ResourceName]string{corev1.ResourceCPU: annotationCPU, corev1.ResourceMemory: annotationMemory}[kind]
	if limit.Cmp(request) < 0 {
		if _, set := r.annotations[requested]; set {
			r.refuse(name, "must not be less than "+requested)
		}
		to.Requests[kind] = limit
	}
	if to.Limits == nil {
		to.Limits = corev1.ResourceList{}
	}
	to.Limits[kind] = limit
}

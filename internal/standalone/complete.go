package standalone

import (
	"net/netip"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/citoroute/citoroute/internal/translate"
)

// complete puts the defaults into an object of Kubernetes' own kinds that an
// API server would, and makes those of its checks that matter to routing.
func complete(obj translate.Object) field.ErrorList {
	obj.SetGeneration(1)
	switch o := obj.(type) {
	case *corev1.Service:
		return completeService(o)
	case *discoveryv1.EndpointSlice:
		return completeSlice(o)
	case *corev1.Secret:
		return completeSecret(o)
	case *corev1.Namespace:
		metav1.SetMetaDataLabel(&o.ObjectMeta, corev1.LabelMetadataName, o.Name)
	}
	return nil
}

func completeService(s *corev1.Service) field.ErrorList {
	if s.Spec.Type == "" {
		s.Spec.Type = corev1.ServiceTypeClusterIP
	}
	spec := field.NewPath("spec")
	return append(checkTarget(s, spec), completePorts(s.Spec.Ports, spec.Child("ports"))...)
}

// checkTarget asks a Service for what it leads to.
func checkTarget(s *corev1.Service, spec *field.Path) field.ErrorList {
	switch {
	case s.Spec.Type == corev1.ServiceTypeExternalName:
		return firstOf(spec.Child("externalName"), s.Spec.ExternalName, validation.IsDNS1123Subdomain(s.Spec.ExternalName))
	case len(s.Spec.Ports) == 0:
		return field.ErrorList{field.Required(spec.Child("ports"), "")}
	}
	return nil
}

func completePorts(ports []corev1.ServicePort, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	names := map[string]bool{}
	for i := range ports {
		p, at := &ports[i], path.Index(i)
		if p.Protocol == "" {
			p.Protocol = corev1.ProtocolTCP
		}
		errs = append(errs, firstOf(at.Child("port"), p.Port, validation.IsValidPortNum(int(p.Port)))...)
		switch {
		case p.Name == "" && len(ports) > 1:
			errs = append(errs, field.Required(at.Child("name"), "a Service with several ports must name them"))
		case names[p.Name]:
			errs = append(errs, field.Duplicate(at.Child("name"), p.Name))
		}
		names[p.Name] = true
	}
	return errs
}

// firstOf makes an error of the first of a check's messages, if it has any.
func firstOf(at *field.Path, value any, messages []string) field.ErrorList {
	if len(messages) == 0 {
		return nil
	}
	return field.ErrorList{field.Invalid(at, value, messages[0])}
}

// completeSlice allows addresses of this machine, which an API server does not:
// here they are what people have.
func completeSlice(s *discoveryv1.EndpointSlice) field.ErrorList {
	errs := checkAddressType(s.AddressType)
	if s.Labels[discoveryv1.LabelServiceName] == "" {
		errs = append(errs, field.Required(field.NewPath("metadata", "labels").Key(discoveryv1.LabelServiceName), "without it the slice belongs to no Service"))
	}
	for i := range s.Ports {
		errs = append(errs, completeSlicePort(&s.Ports[i], field.NewPath("ports").Index(i))...)
	}
	for i, e := range s.Endpoints {
		errs = append(errs, checkAddresses(e.Addresses, s.AddressType, field.NewPath("endpoints").Index(i))...)
	}
	return errs
}

func checkAddressType(t discoveryv1.AddressType) field.ErrorList {
	at := field.NewPath("addressType")
	switch t {
	case discoveryv1.AddressTypeIPv4, discoveryv1.AddressTypeIPv6, discoveryv1.AddressTypeFQDN:
		return nil
	case "":
		return field.ErrorList{field.Required(at, "want IPv4 or IPv6")}
	}
	return field.ErrorList{field.NotSupported(at, t, []discoveryv1.AddressType{discoveryv1.AddressTypeIPv4, discoveryv1.AddressTypeIPv6})}
}

func completeSlicePort(p *discoveryv1.EndpointPort, at *field.Path) field.ErrorList {
	if p.Protocol == nil {
		p.Protocol = new(corev1.ProtocolTCP)
	}
	if p.Name == nil {
		p.Name = new("")
	}
	if p.Port == nil {
		return field.ErrorList{field.Required(at.Child("port"), "")}
	}
	return firstOf(at.Child("port"), *p.Port, validation.IsValidPortNum(int(*p.Port)))
}

func checkAddresses(addresses []string, t discoveryv1.AddressType, endpoint *field.Path) field.ErrorList {
	var errs field.ErrorList
	for i, address := range addresses {
		if !isOfType(address, t) {
			errs = append(errs, field.Invalid(endpoint.Child("addresses").Index(i), address, "not an address of type "+string(t)))
		}
	}
	return errs
}

func isOfType(address string, t discoveryv1.AddressType) bool {
	if t == discoveryv1.AddressTypeFQDN {
		return true
	}
	ip, err := netip.ParseAddr(address)
	return err == nil && ip.Is4() == (t == discoveryv1.AddressTypeIPv4)
}

func completeSecret(s *corev1.Secret) field.ErrorList {
	if s.Type == "" {
		s.Type = corev1.SecretTypeOpaque
	}
	if s.Data == nil && len(s.StringData) > 0 {
		s.Data = map[string][]byte{}
	}
	for k, v := range s.StringData {
		s.Data[k] = []byte(v)
	}
	s.StringData = nil
	if s.Type == corev1.SecretTypeTLS {
		return checkPair(s.Data)
	}
	return nil
}

// checkPair asks for a certificate and its key. Whether they fit is for the
// listener that uses them to say.
func checkPair(data map[string][]byte) field.ErrorList {
	var errs field.ErrorList
	for _, k := range []string{corev1.TLSCertKey, corev1.TLSPrivateKeyKey} {
		if _, ok := data[k]; !ok {
			errs = append(errs, field.Required(field.NewPath("data").Key(k), "a Secret of type kubernetes.io/tls needs it"))
		}
	}
	return errs
}

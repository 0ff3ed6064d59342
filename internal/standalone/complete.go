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
	var errs field.ErrorList
	spec := field.NewPath("spec")
	if s.Spec.Type == "" {
		s.Spec.Type = corev1.ServiceTypeClusterIP
	}
	if s.Spec.Type == corev1.ServiceTypeExternalName {
		if msgs := validation.IsDNS1123Subdomain(s.Spec.ExternalName); len(msgs) > 0 {
			errs = append(errs, field.Invalid(spec.Child("externalName"), s.Spec.ExternalName, msgs[0]))
		}
	} else if len(s.Spec.Ports) == 0 {
		errs = append(errs, field.Required(spec.Child("ports"), ""))
	}
	names := map[string]bool{}
	for i := range s.Spec.Ports {
		p := &s.Spec.Ports[i]
		at := spec.Child("ports").Index(i)
		if p.Protocol == "" {
			p.Protocol = corev1.ProtocolTCP
		}
		if msgs := validation.IsValidPortNum(int(p.Port)); len(msgs) > 0 {
			errs = append(errs, field.Invalid(at.Child("port"), p.Port, msgs[0]))
		}
		switch {
		case p.Name == "" && len(s.Spec.Ports) > 1:
			errs = append(errs, field.Required(at.Child("name"), "a Service with several ports must name them"))
		case names[p.Name]:
			errs = append(errs, field.Duplicate(at.Child("name"), p.Name))
		}
		names[p.Name] = true
	}
	return errs
}

// completeSlice allows addresses of this machine, which an API server does not:
// here they are what people have.
func completeSlice(s *discoveryv1.EndpointSlice) field.ErrorList {
	var errs field.ErrorList
	switch s.AddressType {
	case discoveryv1.AddressTypeIPv4, discoveryv1.AddressTypeIPv6, discoveryv1.AddressTypeFQDN:
	case "":
		errs = append(errs, field.Required(field.NewPath("addressType"), "want IPv4 or IPv6"))
	default:
		errs = append(errs, field.NotSupported(field.NewPath("addressType"), s.AddressType, []discoveryv1.AddressType{discoveryv1.AddressTypeIPv4, discoveryv1.AddressTypeIPv6}))
	}
	if s.Labels[discoveryv1.LabelServiceName] == "" {
		errs = append(errs, field.Required(field.NewPath("metadata", "labels").Key(discoveryv1.LabelServiceName), "without it the slice belongs to no Service"))
	}
	for i := range s.Ports {
		p := &s.Ports[i]
		at := field.NewPath("ports").Index(i)
		if p.Protocol == nil {
			p.Protocol = new(corev1.ProtocolTCP)
		}
		if p.Name == nil {
			p.Name = new("")
		}
		if p.Port == nil {
			errs = append(errs, field.Required(at.Child("port"), ""))
		} else if msgs := validation.IsValidPortNum(int(*p.Port)); len(msgs) > 0 {
			errs = append(errs, field.Invalid(at.Child("port"), *p.Port, msgs[0]))
		}
	}
	for i, e := range s.Endpoints {
		for j, address := range e.Addresses {
			ip, err := netip.ParseAddr(address)
			if s.AddressType != discoveryv1.AddressTypeFQDN && (err != nil || ip.Is4() != (s.AddressType == discoveryv1.AddressTypeIPv4)) {
				errs = append(errs, field.Invalid(field.NewPath("endpoints").Index(i).Child("addresses").Index(j), address, "not an address of type "+string(s.AddressType)))
			}
		}
	}
	return errs
}

func completeSecret(s *corev1.Secret) field.ErrorList {
	if s.Type == "" {
		s.Type = corev1.SecretTypeOpaque
	}
	for k, v := range s.StringData {
		if s.Data == nil {
			s.Data = map[string][]byte{}
		}
		s.Data[k] = []byte(v)
	}
	s.StringData = nil
	if s.Type != corev1.SecretTypeTLS {
		return nil
	}
	var errs field.ErrorList
	for _, k := range []string{corev1.TLSCertKey, corev1.TLSPrivateKeyKey} {
		if _, ok := s.Data[k]; !ok {
			errs = append(errs, field.Required(field.NewPath("data").Key(k), "a Secret of type kubernetes.io/tls needs it"))
		}
	}
	return errs // whether they fit is for the listener that uses them to say
}

package translate

import (
	"fmt"
	"reflect"

	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/citoroute/citoroute/api/v1alpha1"
)

// classParameters resolves spec.parametersRef of a GatewayClass. Without one the
// parameters are empty. A problem is in the words of the class's status.
func classParameters(r Reader, class *gatewayv1.GatewayClass) (spec v1alpha1.GatewayParametersSpec, problem string) {
	ref := class.Spec.ParametersRef
	if ref == nil {
		return spec, ""
	}
	local := gatewayv1.LocalParametersReference{Group: ref.Group, Kind: ref.Kind, Name: ref.Name}
	if isParameters(local) && ref.Namespace == nil {
		return spec, fmt.Sprintf("spec.parametersRef.namespace: required: say in which namespace GatewayParameters %s is", ref.Name)
	}
	return parameters(r, local, string(deref(ref.Namespace, "")), "spec.parametersRef")
}

// gatewayParameters resolves what a Gateway and its class say of its
// infrastructure. What the Gateway says holds first.
func gatewayParameters(r Reader, gateway *gatewayv1.Gateway, class *gatewayv1.GatewayClass) (spec v1alpha1.GatewayParametersSpec, problem string) {
	spec, problem = classParameters(r, class)
	if problem != "" {
		return spec, fmt.Sprintf("GatewayClass %s: %s", class.Name, problem)
	}
	infra := gateway.Spec.Infrastructure
	if infra == nil || infra.ParametersRef == nil {
		return spec, ""
	}
	own, problem := parameters(r, *infra.ParametersRef, gateway.Namespace, "spec.infrastructure.parametersRef")
	return mergeParameters(spec, own), problem
}

// parameters reads the object that a reference names.
func parameters(r Reader, ref gatewayv1.LocalParametersReference, namespace, field string) (spec v1alpha1.GatewayParametersSpec, problem string) {
	if !isParameters(ref) {
		return spec, fmt.Sprintf("%s: %s %s in group %q is not supported; name a %s of the group %s",
			field, ref.Kind, ref.Name, ref.Group, KindGatewayParameters, v1alpha1.GroupName)
	}
	object := get[v1alpha1.GatewayParameters](r, Key{KindGatewayParameters, namespace, ref.Name})
	if object == nil {
		return spec, fmt.Sprintf("%s: GatewayParameters %s/%s does not exist", field, namespace, ref.Name)
	}
	return object.Spec, ""
}

func isParameters(ref gatewayv1.LocalParametersReference) bool {
	return ref.Group == v1alpha1.GroupName && ref.Kind == gatewayv1.Kind(KindGatewayParameters)
}

// mergeParameters returns what the class says, with what the Gateway says
// instead: field by field of each group, and key by key of maps. Fields of which
// one has a meaning only beside the other are taken together.
func mergeParameters(class, own v1alpha1.GatewayParametersSpec) v1alpha1.GatewayParametersSpec {
	if d := own.Deployment; d.Replicas != nil || d.Autoscaling != nil {
		class.Deployment.Replicas, class.Deployment.Autoscaling = nil, nil
	}
	if s := own.Service; s.IPFamilyPolicy != "" || s.IPFamilies != nil {
		class.Service.IPFamilyPolicy, class.Service.IPFamilies = "", nil
	}
	if own.Clients.TrustedProxies != nil {
		class.Clients.TrustedHeaders = nil
	}
	groups := reflect.ValueOf(&class).Elem()
	for i := range groups.NumField() {
		mergeGroup(groups.Field(i), reflect.ValueOf(own).Field(i))
	}
	return class
}

// mergeGroup puts the fields of own that are set into group.
func mergeGroup(group, own reflect.Value) {
	for i := range own.NumField() {
		switch field := own.Field(i); {
		case field.IsZero():
		case field.Kind() == reflect.Map:
			group.Field(i).Set(mergeMaps(group.Field(i), field))
		default:
			group.Field(i).Set(field)
		}
	}
}

// mergeMaps returns a new map with the entries of both, those of own first.
func mergeMaps(class, own reflect.Value) reflect.Value {
	out := reflect.MakeMap(own.Type())
	for _, from := range []reflect.Value{class, own} {
		for key, value := range from.Seq2() {
			out.SetMapIndex(key, value)
		}
	}
	return out
}

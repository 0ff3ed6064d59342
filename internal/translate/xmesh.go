package translate

import (
	"fmt"

	xv1alpha1 "sigs.k8s.io/gateway-api/apisx/v1alpha1"
)

// XMesh reports on an XMesh (GEP-3949), if its controllerName is ours and there
// is a mesh. It changes nothing of what the mesh does.
func XMesh(r Reader, key Key, options Options) Output {
	mesh := get[xv1alpha1.XMesh](r, key)
	if mesh == nil || !options.Mesh || string(mesh.Spec.ControllerName) != options.ControllerName {
		return Output{}
	}
	report := Report{ControllerName: mesh.Spec.ControllerName, Managed: true}
	if ref := mesh.Spec.ParametersRef; ref != nil {
		deny(&report, xv1alpha1.MeshConditionAccepted, xv1alpha1.MeshReasonInvalidParameters,
			fmt.Sprintf("spec.parametersRef: %s %s is not supported; remove the field", ref.Kind, ref.Name))
	}
	return Output{Reports: []ObjectReport{{key, report}}}
}

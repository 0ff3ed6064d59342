package v1alpha1

// LabelInjection on a Namespace puts its pods into the mesh
// ([InjectionEnabled]); on a pod it keeps that pod out ([InjectionDisabled]).
const (
	LabelInjection    = GroupName + "/injection"
	InjectionEnabled  = "enabled"
	InjectionDisabled = "disabled"
)

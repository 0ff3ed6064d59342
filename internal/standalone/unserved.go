package standalone

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/citoroute/citoroute/internal/translate"
)

// aims is the part of a specification that says whom an object concerns, of
// all kinds that have one.
type aims struct {
	Spec struct {
		GatewayClassName string      `json:"gatewayClassName"`
		ControllerName   string      `json:"controllerName"`
		ParentRef        *reference  `json:"parentRef"`
		ParentRefs       []reference `json:"parentRefs"`
		TargetRefs       []reference `json:"targetRefs"`
	} `json:"spec"`
}

// unserved says why no controller of ours has a word for an object, by field.
func (s *Standalone) unserved(key translate.Key, obj translate.Object) []string {
	b, err := json.Marshal(obj)
	if err != nil {
		return []string{err.Error()}
	}
	var a aims
	if err := json.Unmarshal(b, &a); err != nil {
		return []string{err.Error()}
	}
	var why []string
	switch {
	case a.Spec.GatewayClassName != "":
		why = append(why, fmt.Sprintf("spec.gatewayClassName: %q is no class of %s; %q is", a.Spec.GatewayClassName, controllerName, className))
	case a.Spec.ControllerName != "":
		why = append(why, fmt.Sprintf("spec.controllerName: want %s", controllerName))
	case a.Spec.ParentRef != nil:
		why = append(why, "spec.parentRef: "+s.misses(key, *a.Spec.ParentRef))
	}
	for i, ref := range a.Spec.ParentRefs {
		why = append(why, fmt.Sprintf("spec.parentRefs[%d]: %s", i, s.misses(key, ref)))
	}
	for i, ref := range a.Spec.TargetRefs {
		why = append(why, fmt.Sprintf("spec.targetRefs[%d]: %s", i, s.misses(key, ref)))
	}
	if len(why) == 0 {
		why = append(why, "it refers to nothing of class "+className)
	}
	return why
}

// misses says why a reference of an object leads to nothing that is served.
func (s *Standalone) misses(from translate.Key, ref reference) string {
	to := translate.Key{Kind: translate.Kind(ref.Kind), Namespace: ref.Namespace, Name: ref.Name}
	if to.Kind == "" {
		to.Kind = translate.KindGateway
	}
	if to.Namespace == "" {
		to.Namespace = from.Namespace
	}
	if _, ok := s.world.objects[to]; !ok {
		return fmt.Sprintf("there is no %s%s", to, s.elsewhere(to))
	}
	if to.Kind == translate.KindService {
		return fmt.Sprintf("%s is served by nothing here", to)
	}
	return fmt.Sprintf("%s is not served itself", to)
}

// elsewhere says where an object of that kind and name is, if it is not where
// it was looked for.
func (s *Standalone) elsewhere(missing translate.Key) string {
	for _, key := range slices.SortedFunc(maps.Keys(s.world.objects), translate.Key.Compare) {
		if key.Kind == missing.Kind && key.Name == missing.Name {
			return fmt.Sprintf("; the one of that name is in the namespace %s", key.Namespace)
		}
	}
	return ""
}

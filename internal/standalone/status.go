package standalone

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/citoroute/citoroute/internal/translate"
)

// Status is what a controller would write about an object, with where the
// object was found.
type Status struct {
	// Key names the object, Where is its "file:line"; empty for an object that
	// no file holds.
	Key   translate.Key
	Where string
	// Addresses are where a Gateway is reached.
	Addresses []string
	Sections  []Section
	// Unserved says, by field, why nobody writes a status: the object leads to
	// no Gateway of ours, at least to none in the files. Empty: somebody does.
	Unserved []string
}

// Section is the conditions of one part of an object.
type Section struct {
	// Name is "" for the object itself, else such as "listener http" or
	// "parent quickstart".
	Name string
	// Note is a fact beside the conditions, such as the number of routes.
	Note       string
	Conditions []metav1.Condition
}

// statusFields is the part of a status that all kinds share.
type statusFields struct {
	Status struct {
		Conditions []metav1.Condition `json:"conditions"`
		Addresses  []struct {
			Value string `json:"value"`
		} `json:"addresses"`
		Listeners []struct {
			Name           string             `json:"name"`
			AttachedRoutes int                `json:"attachedRoutes"`
			Conditions     []metav1.Condition `json:"conditions"`
		} `json:"listeners"`
		Parents []struct {
			ParentRef  reference          `json:"parentRef"`
			Conditions []metav1.Condition `json:"conditions"`
		} `json:"parents"`
		Ancestors []struct {
			AncestorRef reference          `json:"ancestorRef"`
			Conditions  []metav1.Condition `json:"conditions"`
		} `json:"ancestors"`
	} `json:"status"`
}

type reference struct {
	Kind        string `json:"kind"`
	Namespace   string `json:"namespace"`
	Name        string `json:"name"`
	SectionName string `json:"sectionName"`
	Port        int    `json:"port"`
}

func (r reference) String() string {
	out := strings.TrimPrefix(r.Namespace+"/"+r.Name, "/")
	if r.Kind != "" {
		out = r.Kind + "/" + out
	}
	if r.SectionName != "" {
		out += "#" + r.SectionName
	}
	if r.Port != 0 {
		out += fmt.Sprintf(":%d", r.Port)
	}
	return out
}

// statusOf reads the status of an object of any kind. Kinds without a status
// have no sections.
func statusOf(key translate.Key, where string, obj translate.Object) (Status, error) {
	out := Status{Key: key, Where: where}
	b, err := json.Marshal(obj)
	if err != nil {
		return out, fmt.Errorf("status of %s: %w", key, err)
	}
	var f statusFields
	if err := json.Unmarshal(b, &f); err != nil {
		return out, fmt.Errorf("status of %s: %w", key, err)
	}
	for _, a := range f.Status.Addresses {
		out.Addresses = append(out.Addresses, a.Value)
	}
	out.Sections = f.sections()
	return out, nil
}

// sections returns those that have conditions.
func (f *statusFields) sections() []Section {
	out := []Section{{Conditions: f.Status.Conditions}}
	for _, l := range f.Status.Listeners {
		out = append(out, Section{"listener " + l.Name, countRoutes(l.AttachedRoutes), l.Conditions})
	}
	for _, p := range f.Status.Parents {
		out = append(out, Section{Name: "parent " + p.ParentRef.String(), Conditions: p.Conditions})
	}
	for _, a := range f.Status.Ancestors {
		out = append(out, Section{Name: "target " + a.AncestorRef.String(), Conditions: a.Conditions})
	}
	return slices.DeleteFunc(out, func(s Section) bool { return len(s.Conditions) == 0 })
}

func countRoutes(n int) string {
	if n == 1 {
		return "1 route"
	}
	return fmt.Sprintf("%d routes", n)
}

// Good says whether a condition is as it should be: most should be true, those
// that name a trouble should be false.
func Good(c metav1.Condition) bool {
	switch c.Type {
	case "Conflicted", "OverlappingTLSConfig", "PartiallyInvalid", "InsecureFrontendValidationMode", "UnresolvedRefs":
		return c.Status != metav1.ConditionTrue
	}
	return c.Status == metav1.ConditionTrue
}

// Rejected says whether something of an object is refused or cannot work.
func (s Status) Rejected() bool {
	for _, section := range s.Sections {
		for _, c := range section.Conditions {
			if !Good(c) && c.Type != "OverlappingTLSConfig" && c.Type != "InsecureFrontendValidationMode" {
				return true
			}
		}
	}
	return false
}

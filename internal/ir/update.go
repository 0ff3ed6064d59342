package ir

// Ref names one resource.
type Ref struct {
	Type Type   `json:"type"`
	Name string `json:"name"`
}

// RefOf returns the Ref of r.
func RefOf(r Resource) Ref { return Ref{Type: r.ResourceType(), Name: r.ResourceName()} }

// Update is an incremental change of a node's configuration. A receiver
// applies it as a whole: no request sees half of it.
type Update struct {
	// Upserts are new or changed resources.
	Upserts []Resource
	// Removed names resources that are gone.
	Removed []Ref
	// Complete says that the receiver must drop every resource that is not in
	// Upserts: the first update of a stream, or a whole file.
	Complete bool
}

// Empty says that u changes nothing.
func (u Update) Empty() bool { return len(u.Upserts) == 0 && len(u.Removed) == 0 && !u.Complete }

// ResourceError says which resource of an [Update] is at fault. A controller
// that gets one back leaves that resource out, so that the rest becomes live.
type ResourceError struct {
	Resource Ref
	Err      error
}

// Error names the resource.
func (e *ResourceError) Error() string {
	return string(e.Resource.Type) + " " + e.Resource.Name + ": " + e.Err.Error()
}

// Unwrap returns the cause.
func (e *ResourceError) Unwrap() error { return e.Err }

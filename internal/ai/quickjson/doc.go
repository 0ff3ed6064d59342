// Package quickjson reads and writes JSON by structs with the results of
// encoding/json/v2, in a fraction of its time, for the plain shapes that the
// providers' protocols have.
//
// Whatever it does not know it hands to encoding/json/v2: input that is not
// valid or does not fit, names with escapes, objects with very many members,
// fields of other types. So there is one definition of what is right, and every
// error is that package's. A fuzz target holds the two to the same results.
//
// It imports the standard library and package poison only.
package quickjson

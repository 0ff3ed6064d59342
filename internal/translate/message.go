package translate

import "strings"

// maxQuoted is how much of a user's value a message repeats, in bytes: a status
// message may have 32 KiB, and a value any size.
const maxQuoted = 100

// short returns s, cut where it is too long to repeat in a message.
func short(s string) string {
	if len(s) <= maxQuoted {
		return s
	}
	return strings.ToValidUTF8(s[:maxQuoted], "") + "…"
}

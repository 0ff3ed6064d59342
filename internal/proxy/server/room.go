package server

import (
	"log/slog"

	"github.com/citoroute/citoroute/internal/proxy/room"
)

// shares is how many kinds of connections share the files of a process: those of
// clients, those to backends, and in a sidecar those to where clients were going.
func shares(captures bool) int {
	if captures {
		return 3
	}
	return 2
}

// RoomForBackends has place for the connections to backends of a process, which
// captures connections or not: for the part of its files that is theirs.
func RoomForBackends(captures bool, log *slog.Logger) *room.Room {
	limit := room.Files(shares(captures))
	return room.New(limit, room.Warn(log, "There are as many connections to backends as there may be; requests have to wait", limit))
}

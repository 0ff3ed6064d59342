package chat

import "github.com/citoroute/citoroute/internal/poison"

// Lists is memory for the turns of a conversation and for their blocks, which is
// used for one conversation after the other. Its zero value is ready.
type Lists[T, B any] struct {
	turns  []T
	blocks []B
}

// maxKept is how many turns or blocks are kept to be used again.
const maxKept = 64

// Grow makes room for turns and blocks. It comes before any of them is taken.
func (l *Lists[T, B]) Grow(turns, blocks int) {
	if cap(l.turns) < turns {
		l.turns = make([]T, 0, turns)
	}
	if cap(l.blocks) < blocks {
		l.blocks = make([]B, 0, blocks)
	}
}

// Turns is an empty list with the room that Grow made for turns.
func (l *Lists[T, B]) Turns() []T { return l.turns[:0] }

// Blocks takes n of the blocks that Grow made room for, as an empty list.
func (l *Lists[T, B]) Blocks(n int) []B {
	at := len(l.blocks)
	l.blocks = l.blocks[:at+n]
	return l.blocks[at : at : at+n]
}

// Reset makes l ready for the next conversation. Nothing that was in it may be
// used any more.
func (l *Lists[T, B]) Reset() {
	turns, blocks := l.turns[:cap(l.turns)], l.blocks[:cap(l.blocks)]
	if poison.On {
		poison.Values(turns)
		poison.Values(blocks)
		turns, blocks = nil, nil
	}
	if len(turns) > maxKept || len(blocks) > maxKept {
		turns, blocks = nil, nil
	}
	clear(turns)
	clear(blocks)
	l.turns, l.blocks = turns[:0], blocks[:0]
}

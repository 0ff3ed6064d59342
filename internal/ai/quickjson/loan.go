package quickjson

import (
	"encoding/json/jsontext"
	json "encoding/json/v2"
	"reflect"
	"sync"
	"unsafe"

	"github.com/citoroute/citoroute/internal/poison"
)

// Loan is a value that was read into memory which serves again, so that reading
// one allocates nothing. It is given back with [Loan.Return].
type Loan[T any] struct {
	// Value is what was read. Its strings and raw members share memory with what
	// was read. It, its lists of structs and what its pointers to text, numbers
	// and truth values point to are gone with Return.
	Value T

	memory memory
	pool   *sync.Pool
}

// Borrow reads b, one JSON value with nothing behind it, which must stay as it
// is as long as anything of the value is used. The error is that of
// encoding/json/v2; there is nothing to return then.
func (c Codec[T]) Borrow(b []byte) (*Loan[T], error) {
	l, ok := c.borrow(b, nil)
	if ok {
		return l, nil
	}
	other := new(T) // so that the loan's can stay where it is
	if err := json.Unmarshal(b, other); err != nil {
		l.Return()
		return nil, err
	}
	l.Value = *other
	return l, nil
}

// BorrowVisit is Borrow that calls member for each member of the object as well,
// with its value and where that begins, until it says false. ok is false for
// what only encoding/json/v2 can judge, and where member did not go on.
func (c Codec[T]) BorrowVisit(b []byte, member func(name []byte, value jsontext.Value, at int) bool) (l *Loan[T], ok bool) {
	if l, ok = c.borrow(b, member); !ok {
		l.Return()
		return nil, false
	}
	return l, true
}

func (c Codec[T]) borrow(b []byte, member func([]byte, jsontext.Value, int) bool) (l *Loan[T], ok bool) {
	l = c.loans.Get().(*Loan[T]) //nolint:forcetypeassert // the pool holds nothing else.
	l.pool = c.loans
	s := scan(b)
	defer s.free()
	s.share, s.visit, s.memory = true, member, &l.memory
	return l, s.object(unsafe.Pointer(&l.Value), c.plan) && s.end()
}

// Return gives the loan back.
func (l *Loan[T]) Return() {
	if poison.On {
		l.poison()
		return
	}
	l.Value = *new(T)
	l.memory.clear()
	l.pool.Put(l)
}

// poison makes what was lent unusable, for good.
func (l *Loan[T]) poison() {
	poison.Value(&l.Value)
	poison.Values(l.memory.texts[:])
	poison.Values(l.memory.words[:])
	for _, list := range l.memory.lists {
		if list.mem.IsValid() {
			poison.List(list.mem)
		}
	}
}

// memory is what a loan's lists and what its pointers point to are taken from.
// What is not in use is zero.
type memory struct {
	lists []list
	texts [8]string
	words [8]uint64 // a number or truth value each
	// How many of them are in use.
	usedTexts, usedWords int
}

// list is the memory of one list.
type list struct {
	of    *shape
	mem   reflect.Value // a slice; of no kind where there is none yet
	taken bool
}

// maxList is the largest list whose memory is kept, in bytes: all of it is
// cleared each time.
const maxList = 8 << 10

func (m *memory) clear() {
	clear(m.texts[:m.usedTexts])
	clear(m.words[:m.usedWords])
	m.usedTexts, m.usedWords = 0, 0
	kept := m.lists[:0]
	for _, l := range m.lists {
		if !l.mem.IsValid() || uintptr(l.mem.Len())*l.of.size > maxList {
			continue
		}
		if l.taken {
			l.mem.Clear()
		}
		l.taken = false
		kept = append(kept, l)
	}
	clear(m.lists[len(kept):])
	m.lists = kept
}

// take returns the number of the memory for a list of this shape.
func (m *memory) take(of *shape) int {
	for i := range m.lists {
		if l := &m.lists[i]; l.of == of && !l.taken {
			l.taken = true
			return i
		}
	}
	m.lists = append(m.lists, list{of: of, taken: true})
	return len(m.lists) - 1
}

// text returns room for a text; nil: there is none left.
func (m *memory) text() *string {
	if m == nil || m.usedTexts == len(m.texts) {
		return nil
	}
	m.usedTexts++
	return &m.texts[m.usedTexts-1]
}

// word returns room for a number or truth value; nil: there is none left.
func (m *memory) word() unsafe.Pointer {
	if m == nil || m.usedWords == len(m.words) {
		return nil
	}
	m.usedWords++
	return unsafe.Pointer(&m.words[m.usedWords-1])
}

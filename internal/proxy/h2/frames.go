package h2

import "encoding/binary"

// Types and flags of frames (RFC 9113 section 6).
const (
	frameData         = 0x0
	frameHeaders      = 0x1
	frameRSTStream    = 0x3
	frameSettings     = 0x4
	frameContinuation = 0x9

	flagEndStream  = 0x1 // of DATA and HEADERS
	flagAck        = 0x1 // of SETTINGS
	flagEndHeaders = 0x4
	flagPadded     = 0x8
)

// Error codes (RFC 9113 section 7).
const (
	codeNo              = 0x0
	codeInternal        = 0x2
	codeSettingsTimeout = 0x4
	codeRefusedStream   = 0x7
	codeCancel          = 0x8
	codeEnhanceYourCalm = 0xb
)

const (
	frameHead = 9
	// peek is how much of a frame is looked at, most: its head and the code of RST_STREAM.
	peek = frameHead + 4
)

// frames follows the frames that pass in one direction of a connection.
type frames struct {
	head [peek]byte
	have int // bytes of head
	left int // bytes of the frame, or of the preface, beyond head
}

// next takes from p what is left of a frame, or the beginning of one, and says
// whether that is in head now.
func (f *frames) next(p []byte) (rest []byte, begun bool) {
	if f.left > 0 {
		n := min(f.left, len(p))
		f.left -= n
		return p[n:], false
	}
	for len(p) > 0 {
		n := copy(f.head[f.have:f.need()], p)
		f.have += n
		p = p[n:]
		if f.have == f.need() {
			f.left = frameHead + f.length() - f.have
			f.have = 0
			return p, true
		}
	}
	return p, false
}

// need is how many bytes of the frame belong in head, as far as that is known.
func (f *frames) need() int {
	switch {
	case f.have < frameHead:
		return frameHead
	case f.kind() == frameRSTStream:
		return frameHead + min(4, f.length())
	case f.kind() == frameData && f.has(flagPadded):
		return frameHead + min(1, f.length())
	}
	return frameHead
}

// between says that no frame has begun that is not complete.
func (f *frames) between() bool { return f.have == 0 && f.left == 0 }

func (f *frames) length() int        { return int(f.head[0])<<16 | int(f.head[1])<<8 | int(f.head[2]) }
func (f *frames) kind() byte         { return f.head[3] }
func (f *frames) has(flag byte) bool { return f.head[4]&flag != 0 }
func (f *frames) stream() uint32     { return binary.BigEndian.Uint32(f.head[5:]) &^ (1 << 31) }

// padding is the length of the padding of DATA, without the byte that says it.
func (f *frames) padding() int {
	if !f.has(flagPadded) {
		return 0
	}
	return int(f.head[frameHead])
}

// code is the error code of RST_STREAM.
func (f *frames) code() uint32 { return binary.BigEndian.Uint32(f.head[frameHead:]) }

// goAway returns a GOAWAY frame.
func goAway(last, code uint32) []byte {
	b := []byte{0, 0, 8, 7, 0, 0, 0, 0, 0}
	return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(b, last), code)
}

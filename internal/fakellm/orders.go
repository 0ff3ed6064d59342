package fakellm

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Orders say how to answer one request other than at once and well. They are
// written as words separated by spaces, in any order:
//
//	status=N         answer with this HTTP status and the provider's error
//	retry-after=N    with a Retry-After field of N seconds
//	plain            make that error's body text instead of JSON
//	wait=DURATION    wait before the response head
//	pace=DURATION    wait before each event of a stream
//	error-after=N    after N content events, send the provider's error event
//	cut-after=N      after N content events, reset the connection
//	end-after=N      after N content events, end the response as if complete
//	hang-after=N     after N content events, send nothing until the client leaves
//	tool=NAME[,…]    call these tools
//	think            reason before answering
//	cached=N         say that N of the input tokens came from the cache
//
// The -after orders concern streams only.
type Orders struct {
	Status     int
	RetryAfter int
	Plain      bool
	Wait, Pace time.Duration
	// The -after orders are -1 where absent.
	ErrorAfter, CutAfter, EndAfter, HangAfter int
	Tools                                     []string
	Think                                     bool
	Cached                                    int
}

// ParseOrders reads orders. The error names the word that is wrong.
func ParseOrders(s string) (Orders, error) {
	o := Orders{ErrorAfter: -1, CutAfter: -1, EndAfter: -1, HangAfter: -1}
	for word := range strings.FieldsSeq(s) {
		if err := o.read(word); err != nil {
			return Orders{}, fmt.Errorf("order %q: %w", word, err)
		}
	}
	return o, nil
}

func (o *Orders) read(word string) error {
	name, value, _ := strings.Cut(word, "=")
	numbers := map[string]*int{
		"status": &o.Status, "retry-after": &o.RetryAfter, "cached": &o.Cached,
		"error-after": &o.ErrorAfter, "cut-after": &o.CutAfter, "end-after": &o.EndAfter, "hang-after": &o.HangAfter,
	}
	waits := map[string]*time.Duration{"wait": &o.Wait, "pace": &o.Pace}
	flags := map[string]*bool{"plain": &o.Plain, "think": &o.Think}
	var err error
	switch {
	case numbers[name] != nil:
		*numbers[name], err = strconv.Atoi(value)
	case waits[name] != nil:
		*waits[name], err = time.ParseDuration(value)
	case flags[name] != nil:
		*flags[name] = true
	case name == "tool":
		o.Tools = strings.Split(value, ",")
	default:
		return errors.New("unknown")
	}
	if err == nil && name == "status" && (o.Status < 400 || o.Status > 599) {
		return errors.New("want 400 to 599")
	}
	return err
}

const orderStart, orderEnd = "[fake ", "]"

// cutOrders splits the orders out of a prompt.
func cutOrders(text string) (rest, orders string) {
	before, after, found := strings.Cut(text, orderStart)
	if !found {
		return text, ""
	}
	orders, after, found = strings.Cut(after, orderEnd)
	if !found {
		return text, ""
	}
	return strings.TrimSpace(strings.TrimSpace(before) + " " + strings.TrimSpace(after)), orders
}

package fakellm

import (
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
//	think            think before answering
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

func (o *Orders) read(word string) (err error) {
	name, value, _ := strings.Cut(word, "=")
	switch name {
	case "status":
		if o.Status, err = strconv.Atoi(value); err == nil && (o.Status < 400 || o.Status > 599) {
			return fmt.Errorf("want 400 to 599")
		}
	case "retry-after":
		o.RetryAfter, err = strconv.Atoi(value)
	case "plain":
		o.Plain = true
	case "wait":
		o.Wait, err = time.ParseDuration(value)
	case "pace":
		o.Pace, err = time.ParseDuration(value)
	case "error-after":
		o.ErrorAfter, err = strconv.Atoi(value)
	case "cut-after":
		o.CutAfter, err = strconv.Atoi(value)
	case "end-after":
		o.EndAfter, err = strconv.Atoi(value)
	case "hang-after":
		o.HangAfter, err = strconv.Atoi(value)
	case "tool":
		o.Tools = strings.Split(value, ",")
	case "think":
		o.Think = true
	case "cached":
		o.Cached, err = strconv.Atoi(value)
	default:
		return fmt.Errorf("unknown")
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

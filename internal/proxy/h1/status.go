package h1

import (
	"strconv"
	"sync/atomic"
	"time"
)

// appendStatusLine writes a status line. The reason is always the standard
// one: a backend's own is not passed on.
func appendStatusLine(b []byte, status int) []byte {
	if status == 200 {
		return append(b, "HTTP/1.1 200 OK\r\n"...)
	}
	b = append(b, "HTTP/1.1 "...)
	b = strconv.AppendInt(b, int64(status), 10)
	b = append(b, ' ')
	b = append(b, reason(status)...)
	return append(b, "\r\n"...)
}

// reason is the phrase of RFC 9110 section 15 and of the registry.
func reason(status int) string {
	if status >= 100 && status < 600 {
		if group := reasons[status/100-1]; status%100 < len(group) {
			return group[status%100]
		}
	}
	return ""
}

// reasons is a constant table.
var reasons = [5][]string{
	{"Continue", "Switching Protocols", "Processing", "Early Hints"},
	{"OK", "Created", "Accepted", "Non-Authoritative Information", "No Content", "Reset Content", "Partial Content", "Multi-Status", "Already Reported"},
	{"Multiple Choices", "Moved Permanently", "Found", "See Other", "Not Modified", "Use Proxy", "", "Temporary Redirect", "Permanent Redirect"},
	{
		"Bad Request", "Unauthorized", "Payment Required", "Forbidden", "Not Found", "Method Not Allowed", "Not Acceptable",
		"Proxy Authentication Required", "Request Timeout", "Conflict", "Gone", "Length Required", "Precondition Failed",
		"Content Too Large", "URI Too Long", "Unsupported Media Type", "Range Not Satisfiable", "Expectation Failed", "", "", "",
		"Misdirected Request", "Unprocessable Content", "Locked", "Failed Dependency", "Too Early", "Upgrade Required", "",
		"Precondition Required", "Too Many Requests", "", "Request Header Fields Too Large",
	},
	{
		"Internal Server Error", "Not Implemented", "Bad Gateway", "Service Unavailable", "Gateway Timeout",
		"HTTP Version Not Supported",
	},
}

// dateCache is the value of Date, made once a second.
type dateCache struct{ last atomic.Pointer[dateEntry] }

type dateEntry struct {
	until instant
	text  string
}

func (d *dateCache) get(t instant) string {
	if e := d.last.Load(); e != nil && t < e.until {
		return e.text
	}
	wall := time.Now().UTC()
	e := &dateEntry{
		until: t.after(time.Second - time.Duration(wall.Nanosecond())),
		text:  wall.Format("Mon, 02 Jan 2006 15:04:05 GMT"),
	}
	d.last.Store(e)
	return e.text
}

// appendRefusal writes the whole answer to a request that was not understood.
// Nothing of the request is in it.
func (c *serverConn) appendRefusal(b []byte, status int) []byte {
	text := reason(status)
	b = appendStatusLine(b, status)
	b = append(append(b, "Date: "...), c.server.date.get(now())...)
	b = append(b, "\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: "...)
	b = strconv.AppendInt(b, int64(len(text)+1), 10)
	if status == 405 {
		b = append(b, "\r\nAllow: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"...)
	}
	b = append(b, "\r\nConnection: close\r\n\r\n"...)
	return append(append(b, text...), '\n')
}

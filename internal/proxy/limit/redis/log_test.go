package redis

import (
	"bytes"
	"context"
	"fmt"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/citoroute/citoroute/internal/proxy/limit"
)

// lines is a logger of the client's library.
type lines struct{ bytes.Buffer }

func (l *lines) Printf(_ context.Context, format string, v ...any) { fmt.Fprintf(l, format+"\n", v...) }

// What the library would write to standard error by itself is in the error.
func TestOpen_LogsNothing(t *testing.T) {
	var log lines
	goredis.SetLogger(&log)
	s := Open(Options{Address: "127.0.0.1:1", Prefix: "p", Timeout: patient})
	defer s.Close()
	if _, err := s.Reserve(charge(limit.Day, 5, 1), time.Now()); err == nil {
		t.Error("a server that is not there has answered")
	}
	if log.Len() > 0 {
		t.Errorf("it is logged: %s", log.String())
	}
}

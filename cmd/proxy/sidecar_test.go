package main

import (
	"errors"
	"io"
	"net"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/citoroute/citoroute/internal/bootstrap"
	"github.com/citoroute/citoroute/internal/ir"
	"github.com/citoroute/citoroute/internal/porttest"
)

func TestSidecar_IsReadyWithAnEmptyConfiguration(t *testing.T) {
	config := bootstrap.DefaultSidecar()
	config.Capture.Port = porttest.Free(t)
	srv := controller(t, &config)
	if err := srv.Update("gateway/ns/gw", ir.Update{Complete: true}); err != nil {
		t.Fatal(err)
	}
	stop := start(t, &config)
	eventually(t, "http://"+config.Admin+"/readyz", "ok\n")
	if err := stop(); err != nil {
		t.Error(err)
	}
}

func TestSidecar_BindsNoPortOfAListener(t *testing.T) {
	at := porttest.Free(t)
	config := bootstrap.DefaultSidecar()
	config.Capture.Port = porttest.Free(t)
	config.Source, config.File.Path = bootstrap.SourceFile, filepath.Join(t.TempDir(), "config.json")
	writeFile(t, config.File.Path, answering(at, "one"))
	stop := start(t, &config)
	eventually(t, "http://"+config.Admin+"/readyz", "ok\n")
	if status, _ := get(t, "http://"+local(at)); status != 0 {
		t.Errorf("got %d", status)
	}
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", local(config.Capture.Port))
	if err == nil { // a connection to the sidecar itself goes nowhere
		_, err = io.ReadAll(conn)
		_ = conn.Close()
	}
	if !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("got %v, want a reset", err)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}

func TestCaptureOf(t *testing.T) {
	for name, c := range map[string]struct {
		mode     string
		in, want uint16
	}{
		"Gateway":         {modeGateway, 15001, 0},
		"Sidecar":         {modeSidecar, 0, 15001},
		"SidecarsOwnTOML": {modeSidecar, 16001, 16001},
	} {
		t.Run(name, func(t *testing.T) {
			if got := captureOf(c.mode, bootstrap.Capture{Port: c.in}); got.Port != c.want {
				t.Errorf("port %d, want %d", got.Port, c.want)
			}
		})
	}
}

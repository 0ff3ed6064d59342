package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// process is a program bound to one core, with its children.
type process struct {
	command *exec.Cmd
	output  bytes.Buffer
	ended   chan struct{}
}

// start runs a program on a core and waits until it listens.
func start(ctx context.Context, core, address string, command ...string) (*process, error) {
	if listening(ctx, address) {
		return nil, fmt.Errorf("something else listens on %s", address)
	}
	p := &process{ended: make(chan struct{})}
	p.command = exec.CommandContext(ctx, "taskset", append([]string{"-c", core}, command...)...)
	p.command.Env = append(os.Environ(), "GOMAXPROCS=1")
	p.command.Stdout, p.command.Stderr = &p.output, &p.output
	p.command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	if err := p.command.Start(); err != nil {
		return nil, err
	}
	go func() {
		_ = p.command.Wait()
		close(p.ended)
	}()
	deadline := time.After(10 * time.Second)
	for !listening(ctx, address) {
		select {
		case <-p.ended:
			return nil, fmt.Errorf("%s ended: %s", command[0], p.output.String())
		case <-deadline:
			p.stop()
			return nil, fmt.Errorf("%s does not listen on %s: %s", command[0], address, p.output.String())
		case <-time.After(10 * time.Millisecond):
		}
	}
	return p, nil
}

// listening says whether something accepts connections at the address.
func listening(ctx context.Context, address string) bool {
	conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, "tcp", address)
	if err != nil {
		return false
	}
	_ = conn.Close()
	return true
}

func (p *process) stop() {
	_ = p.command.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.ended:
	case <-time.After(5 * time.Second):
		_ = p.command.Process.Kill()
		<-p.ended
	}
}

// cpu returns the processor time that the process and its children have used.
func (p *process) cpu() time.Duration {
	total := cpuOf(p.command.Process.Pid)
	children, _ := os.ReadFile(fmt.Sprintf("/proc/%[1]d/task/%[1]d/children", p.command.Process.Pid))
	for field := range strings.FieldsSeq(string(children)) {
		if pid, err := strconv.Atoi(field); err == nil {
			total += cpuOf(pid)
		}
	}
	return total
}

// memory is what the process holds in memory (proc(5), VmRSS), in bytes.
func (p *process) memory() int64 {
	status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.command.Process.Pid))
	_, after, _ := strings.Cut(string(status), "VmRSS:")
	kilobytes, _, _ := strings.Cut(strings.TrimSpace(after), " ")
	n, _ := strconv.ParseInt(kilobytes, 10, 64)
	return n << 10
}

// cpuOf adds up the time on a processor of each thread (proc(5), schedstat).
func cpuOf(pid int) time.Duration {
	var total time.Duration
	files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
	for _, file := range files {
		b, _ := os.ReadFile(file)
		first, _, _ := strings.Cut(string(b), " ")
		if n, err := strconv.ParseInt(first, 10, 64); err == nil {
			total += time.Duration(n)
		}
	}
	return total
}

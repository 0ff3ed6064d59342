// Package faults has only tests. They start the proxy as a process and break what
// is around it: backends, its own output, its limits, the process itself. A fault
// may cost what it must, but no request gets a wrong or half an answer that looks
// whole, and none that changes something is carried out twice.
package faults

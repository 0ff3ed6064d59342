package main

import (
	"encoding/json"
	"io"
	"os"

	"github.com/citoroute/citoroute/internal/standalone"
)

// printerFor prints to w, in colour if it is a terminal.
func printerFor(w io.Writer) standalone.Printer {
	file, ok := w.(*os.File)
	if !ok || os.Getenv("NO_COLOR") != "" {
		return standalone.Printer{Out: w}
	}
	info, err := file.Stat()
	return standalone.Printer{Out: w, Color: err == nil && info.Mode()&os.ModeCharDevice != 0}
}

func printJSON(out io.Writer, v any) error {
	enc := json.NewEncoder(out)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

package standalone

import (
	"bytes"
	"fmt"
	"strings"

	kubejson "k8s.io/apimachinery/pkg/util/json"
	"sigs.k8s.io/yaml"
)

// document is one object of a file, not yet understood.
type document struct {
	file   string
	line   int // where it begins, from 1
	fields map[string]any
}

// separator begins a line that ends a YAML document (YAML 1.2, section 9.1.2).
const separator = "---"

// split cuts a file into its YAML documents. Each is padded with empty lines,
// so that the YAML parser names lines of the file.
func split(content []byte) [][]byte {
	var out [][]byte
	begin, line, beginLine := 0, 0, 0
	end := func(at int) {
		out = append(out, append(bytes.Repeat([]byte("\n"), beginLine), content[begin:at]...))
	}
	for at := 0; at < len(content); line++ {
		next := len(content)
		if i := bytes.IndexByte(content[at:], '\n'); i >= 0 {
			next = at + i + 1
		}
		text := bytes.TrimRight(content[at:next], " \t\r\n")
		if string(text) == separator || bytes.HasPrefix(text, []byte(separator+" ")) {
			end(at)
			begin, beginLine = at+len(separator), line
		}
		at = next
	}
	end(len(content))
	return out
}

// documents reads the objects of a file; Lists are unfolded. A document that
// cannot be read is a problem, and the others are read all the same.
func documents(file string, content []byte) ([]document, []Problem) {
	var docs []document
	var problems []Problem
	for _, raw := range split(content) {
		line := firstLine(raw)
		if line == 0 {
			continue // nothing but comments
		}
		fields, err := parse(raw)
		switch {
		case err != nil:
			problems = append(problems, Problem{File: file, Line: line, Message: err.Error()})
		case fields != nil:
			docs = append(docs, unfold(document{file, line, fields})...)
		}
	}
	return docs, problems
}

// firstLine returns the number of the first line with content, or 0.
func firstLine(raw []byte) int {
	n := 0
	for line := range bytes.Lines(raw) {
		n++
		text := bytes.TrimSpace(line)
		if len(text) > 0 && text[0] != '#' && string(text) != separator {
			return n
		}
	}
	return 0
}

// parse reads one YAML or JSON document. A key that is there twice is an error.
func parse(raw []byte) (map[string]any, error) {
	v, err := parseValue(raw)
	if err != nil {
		return nil, fmt.Errorf("not YAML: %s", oneLine(err.Error()))
	}
	switch v := v.(type) {
	case nil:
		return nil, nil //nolint:nilnil // a document that is empty is no fault.
	case map[string]any:
		return v, nil
	}
	return nil, fmt.Errorf("not a Kubernetes object: want apiVersion, kind, metadata and spec, found %s", article(v))
}

func parseValue(raw []byte) (v any, err error) {
	b, err := yaml.YAMLToJSONStrict(raw)
	if err != nil {
		return nil, err
	}
	err = kubejson.Unmarshal(b, &v)
	return v, err
}

// article names the JSON type of a value that is neither null nor an object.
func article(v any) string {
	switch v.(type) {
	case []any:
		return "a list"
	case string:
		return "a text"
	case bool:
		return "true or false"
	}
	return "a number"
}

// oneLine makes one line of a parser's message.
func oneLine(s string) string {
	s = strings.TrimPrefix(s, "error converting YAML to JSON: ")
	s = strings.TrimPrefix(s, "yaml: ")
	s = strings.TrimPrefix(s, "unmarshal errors:")
	return strings.Join(strings.Fields(s), " ")
}

// unfold returns the items of a List, and any other document as it is.
func unfold(d document) []document {
	items, ok := d.fields["items"].([]any)
	if kind, _ := d.fields["kind"].(string); !ok || !strings.HasSuffix(kind, "List") {
		return []document{d}
	}
	var out []document
	for _, item := range items {
		if fields, ok := item.(map[string]any); ok {
			out = append(out, document{d.file, d.line, fields})
		}
	}
	return out
}

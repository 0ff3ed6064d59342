package bedrock

import (
	"encoding/json/jsontext"
	json "encoding/json/v2"
	"strings"
)

func isNova(model string) bool { return strings.Contains(model, "amazon.nova") }

// hidden says that an identifier does not tell which model it is of: the ARN of
// an inference profile of one's own, or of bought throughput.
func hidden(model string) bool {
	return strings.HasPrefix(model, "arn:") && !strings.Contains(shownModel(model), ".")
}

// remembers says whether the model takes thoughts back. Models other than Claude
// refuse a request with any, and the proof of one is of no worth to them.
func (b *builder) remembers() bool { return b.can.Claude || hidden(b.wire.Model) }

// strict says whether a tool is held to its schema. Some generations of Claude
// refuse the member on Bedrock, whatever it says, so the default is not sent.
func (b *builder) strict(wanted *bool) *bool {
	switch {
	case wanted == nil || !*wanted:
		return nil
	case b.can.Claude && !b.can.StrictTools:
		b.wire.Drop("strict")
		return nil
	}
	return wanted
}

// cachePoint converts a cache_control object; nil where there is none, or where
// the model would refuse it. Clients mark what they send whatever model is to
// read it. ofTool says that it is to stand behind a tool or what one answered.
func (b *builder) cachePoint(control jsontext.Value, ofTool bool) *cachePoint {
	if control == nil {
		return nil
	}
	if !b.takesCachePoint(ofTool) {
		b.wire.Drop("cache_control")
		return nil
	}
	var in struct {
		TTL string `json:"ttl"`
	}
	out := &cachePoint{Type: "default"}
	switch {
	case json.Unmarshal(control, &in) != nil || in.TTL != "5m" && in.TTL != "1h":
	case b.can.HourCache || hidden(b.wire.Model):
		out.TTL = in.TTL
	case in.TTL == "1h":
		b.wire.Drop("cache_control.ttl")
	}
	return out
}

func (b *builder) takesCachePoint(ofTool bool) bool {
	switch {
	case b.can.Claude:
		return b.can.CachePoints
	case isNova(b.wire.Model):
		return !ofTool
	}
	return hidden(b.wire.Model)
}

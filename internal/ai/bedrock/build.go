package bedrock

import (
	"encoding/json/jsontext"
	json "encoding/json/v2"
	"strings"
	"sync"

	"github.com/citoroute/citoroute/internal/ai/chat"
	"github.com/citoroute/citoroute/internal/ai/claude"
)

// header has the fields of every request, the signature apart.
var header = []chat.Field{{Name: "content-type", Value: "application/json"}}

// Build writes the request for Bedrock into w. The error is a *chat.Error for
// what Bedrock cannot express and must not be dropped.
func Build(w *chat.Wire, r *chat.Request, o chat.Options) error {
	model := o.ModelFor(r)
	if err := checkModel(model); err != nil {
		return err
	}
	*w = chat.Wire{
		Path:    "/model/" + escapeModel(model) + "/converse",
		Model:   model,
		Header:  header,
		Dropped: append([]string(nil), r.Ignored...),
	}
	if r.Stream {
		w.Path += "-stream"
	}
	b := builders.Get().(*builder) //nolint:forcetypeassert // the pool holds nothing else.
	defer b.free()
	b.in, b.wire, b.can = r, w, claude.AbilitiesOf(model)
	b.settings(o)
	b.tools()
	b.format()
	b.service()
	b.own()
	if err := b.messages(); err != nil {
		return err
	}
	var err error
	w.Body, err = requestJSON.MarshalInto(o.Memory, &b.out, r.Source)
	return err
}

// maxModel is the longest identifier of a model that Bedrock takes.
const maxModel = 2048

// checkModel refuses what cannot stand as a segment of a path: whoever is on
// the way may take dots away.
func checkModel(model string) error {
	switch {
	case model == "":
		return chat.Invalid("model", "is required")
	case strings.Trim(model, ".") == "":
		return chat.Invalid("model", "is not the name of a model")
	case len(model) > maxModel:
		return chat.Invalid("model", "is longer than %d bytes", maxModel)
	}
	return nil
}

// escapeModel makes a model's identifier, which may be an ARN, one path segment.
func escapeModel(s string) string {
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	b.Grow(len(s) + len("%3A")) // most have at most one colon
	for i := range len(s) {
		c := s[i]
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("-_.~", c) >= 0 {
			b.WriteByte(c)
			continue
		}
		b.WriteByte('%')
		b.WriteByte(hex[c>>4])
		b.WriteByte(hex[c&15])
	}
	return b.String()
}

type builder struct {
	in        *chat.Request
	out       request
	wire      *chat.Wire
	can       claude.Abilities
	thinks    bool
	documents map[string]bool // names given so far
	// What parts of the request are put into.
	limits    inference
	maxTokens int64
	lists     chat.Lists[message, block]
}

// builders are those that nobody uses.
var builders = sync.Pool{New: func() any { return new(builder) }}

func (b *builder) free() {
	b.lists.Reset()
	*b = builder{lists: b.lists}
	builders.Put(b)
}

// settings fits limits, sampling and reasoning to the model. Bedrock has its
// own limit where none is set.
func (b *builder) settings(o chat.Options) {
	s := claude.Settle(b.in, b.abilities(), o.MaxTokens)
	b.thinks = s.Thinks
	b.wire.Dropped = append(b.wire.Dropped, s.Dropped...)
	c := &b.limits
	c.Temperature, c.TopP = s.Temperature, s.TopP
	if b.maxTokens = s.MaxTokens; b.maxTokens > 0 {
		c.MaxTokens = &b.maxTokens
	}
	for _, stop := range b.in.Stop {
		if strings.TrimSpace(stop) == "" {
			b.wire.Drop("stop")
			continue
		}
		c.StopSequences = append(c.StopSequences, stop)
	}
	b.out.InferenceConfig = c
	switch {
	case s.TopK == nil:
	case isNova(b.wire.Model):
		b.additional("inferenceConfig", novaInference{*s.TopK})
	default:
		b.additional("top_k", *s.TopK)
	}
	if s.Thinking != nil {
		b.additional("thinking", s.Thinking)
	}
	if s.Effort != "" {
		b.out.OutputConfig = &outputConfig{Effort: s.Effort}
	}
}

// additional sets a field of the model's own.
func (b *builder) additional(name string, v any) {
	if b.out.Additional == nil {
		b.out.Additional = map[string]any{}
	}
	b.out.Additional[name] = v
}

// novaInference is where Amazon's own models take what Converse has no member
// for.
type novaInference struct {
	TopK int64 `json:"topK"`
}

// abilities lets a model that is no Claude be told its effort in Bedrock's own
// way.
func (b *builder) abilities() claude.Abilities {
	can := b.can
	if !can.Claude {
		can = claude.Abilities{NoThinking: true, Effort: true, MaxEffort: true, XHighEffort: true}
		clone := *b.in
		clone.Effort, clone.Thinking = b.in.EffortWord(), nil // only Claude knows the object
		if clone.Effort == "none" {
			b.wire.Drop("reasoning_effort")
		}
		b.in = &clone
	}
	return can
}

func (b *builder) tools() {
	tools := b.in.AllowedTools()
	history := b.in.UsesTools()
	if len(tools) == 0 {
		tools = b.in.ToolsOfHistory() // Bedrock wants every tool of the conversation declared
	}
	none := b.in.ToolChoice.Mode == chat.ToolsNone
	if none && history {
		b.wire.Drop("tool_choice") // the tools must stay, and Bedrock knows no "none"
	}
	if len(tools) == 0 || none && !history {
		return
	}
	c := &toolConfig{}
	for _, t := range tools {
		c.Tools = append(c.Tools, toolEntry{ToolSpec: &toolSpec{
			Name:        b.wire.Names.Wire(t.Name),
			Description: t.Description,
			InputSchema: inputSchema{JSON: chat.ObjectSchema(t.Schema)},
			Strict:      b.strict(t.Strict),
		}})
		if point := b.cachePoint(t.Cache, true); point != nil {
			c.Tools = append(c.Tools, toolEntry{CachePoint: point})
		}
	}
	c.ToolChoice = b.choice()
	b.out.ToolConfig = c
}

func (b *builder) choice() *toolChoice {
	if b.in.ParallelTools != nil && !*b.in.ParallelTools {
		b.wire.Drop("parallel_tool_calls")
	}
	switch b.in.ToolChoice.Mode {
	case chat.ToolsAuto:
		return &toolChoice{Auto: &struct{}{}}
	case chat.ToolsRequired, chat.ToolsNamed:
		if b.thinks { // a thinking model cannot be forced
			b.wire.Drop("tool_choice")
			return &toolChoice{Auto: &struct{}{}}
		}
		if b.in.ToolChoice.Mode == chat.ToolsRequired {
			return &toolChoice{Any: &struct{}{}}
		}
		return &toolChoice{Tool: &named{b.wire.Names.Wire(b.in.ToolChoice.Name)}}
	default:
		return nil
	}
}

// formatTool is the name of the tool that a model without structured outputs
// is made to call with its answer.
const formatTool = "structured_answer"

func (b *builder) format() {
	f := b.in.Format
	switch {
	case f.Kind == chat.FormatJSON:
		text := "Answer with one JSON object and nothing else."
		b.out.System = append(b.out.System, block{Text: &text})
	case f.Kind != chat.FormatSchema:
	case b.can.Schema:
		if b.out.OutputConfig == nil {
			b.out.OutputConfig = &outputConfig{}
		}
		b.out.OutputConfig.TextFormat = &textFormat{Type: "json_schema", Structure: structure{jsonSchema{
			Schema: string(f.Schema), Name: chat.Identifier(f.Name), Description: f.Description,
		}}}
	case b.out.ToolConfig != nil || b.thinks:
		b.wire.Drop("response_format") // the model can be forced to one thing only
	default:
		b.wire.FormatTool = formatTool
		b.out.ToolConfig = &toolConfig{
			Tools:      []toolEntry{{ToolSpec: &toolSpec{Name: formatTool, Description: f.Description, InputSchema: inputSchema{chat.ObjectSchema(f.Schema)}}}},
			ToolChoice: &toolChoice{Tool: &named{formatTool}},
		}
	}
}

// own passes on what the client sets in Bedrock's own words; where it says
// something that we would, too, the client's word counts.
func (b *builder) own() {
	own := b.in.Bedrock
	if len(own) == 0 {
		return
	}
	b.out.GuardrailConfig, b.out.PerformanceConfig = own["guardrailConfig"], own["performanceConfig"]
	b.out.RequestMetadata, b.out.ResponsePaths = own["requestMetadata"], own["additionalModelResponseFieldPaths"]
	var fields map[string]jsontext.Value
	if json.Unmarshal(own["additionalModelRequestFields"], &fields) == nil {
		for name, v := range fields {
			b.additional(name, v)
		}
	}
}

func (b *builder) service() {
	if b.in.User != "" {
		b.wire.Drop("user")
	}
	switch b.in.ServiceTier {
	case "", "auto":
	case "default", "flex", "priority", "reserved":
		b.out.ServiceTier = &serviceTier{b.in.ServiceTier}
	default:
		b.wire.Drop("service_tier")
	}
}

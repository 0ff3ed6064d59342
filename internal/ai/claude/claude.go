// Package claude knows what differs between generations of Anthropic's Claude
// models, wherever they are served: which sampling parameters one takes, how
// it is told to reason, and whether it can be held to a schema.
//
// It imports the standard library and package chat only.
package claude

import (
	"encoding/json/jsontext"
	json "encoding/json/v2"
	"strconv"
	"strings"

	"github.com/citoroute/citoroute/internal/ai/chat"
)

// Abilities are what differs between models in a request.
type Abilities struct {
	Claude      bool // it is a Claude model at all
	NoSampling  bool // refuses temperature, top_p and top_k
	OneSampling bool // takes temperature or top_p, not both
	NoThinking  bool // does not know the thinking object
	Effort      bool // takes a word for how much to reason
	MaxEffort   bool // one of the words is max
	XHighEffort bool // one of the words is xhigh
	Adaptive    bool // decides itself how much to think; others need a budget
	Schema      bool // can be held to a JSON schema
	StrictTools bool // on Bedrock, tools can be held to their schemas
	CachePoints bool // Bedrock takes cache points for it
	HourCache   bool // Bedrock can be told to keep them for an hour
}

// AbilitiesOf reads the generation out of a model's name, in any of the forms
// claude-opus-4-7, claude-sonnet-4-5-20250929 and
// us.anthropic.claude-opus-4-1-20250805-v1:0. A Claude without a number is
// taken for the newest.
func AbilitiesOf(model string) Abilities {
	_, rest, ok := strings.Cut(model, "claude-")
	if !ok {
		return Abilities{}
	}
	family, v := generation(rest)
	opus := family == "opus"
	a := Abilities{
		Claude:      true,
		NoSampling:  opus && v >= 407 || v >= 500,
		OneSampling: v >= 401,
		NoThinking:  v < 307,
		Effort:      opus && v >= 405 || v >= 406,
		MaxEffort:   v >= 406,
		XHighEffort: opus && v >= 407 || v >= 500,
		Adaptive:    v >= 406,
		Schema:      opus && v >= 401 || v >= 405,
	}
	a.onBedrock(family, v)
	return a
}

// onBedrock sets what Bedrock can do with a generation. That some take no strict
// tools, between others that do, follows no rule: it has been tried out.
func (a *Abilities) onBedrock(family string, v int) {
	a.CachePoints = family == "haiku" && v >= 305 || v >= 307
	a.HourCache = v >= 405
	switch family {
	case "opus":
		a.StrictTools = v >= 405 && v != 407 && v != 408
	default:
		a.StrictTools = v >= 405 && v != 500
	}
}

// generation reads the family and a hundred times the version, 405 for 4.5.
func generation(rest string) (family string, v int) {
	version, found := [2]int{99, 0}, 0
	for rest != "" {
		end := strings.IndexAny(rest, "-.@:/")
		if end < 0 {
			end = len(rest)
		}
		field := rest[:end]
		rest = rest[min(end+1, len(rest)):]
		n, ok := number(field)
		switch {
		case ok && n < 100 && found < len(version):
			version[found] = n
			found++
		case !ok && family == "":
			family = field
		}
	}
	return family, version[0]*100 + version[1]
}

// number reads a whole number; ok is false for a word.
func number(field string) (n int, ok bool) {
	for i := range len(field) {
		if field[i] < '0' || field[i] > '9' || n > 1<<32 {
			return 0, false
		}
		n = n*10 + int(field[i]-'0')
	}
	return n, field != ""
}

// minBudget is the least number of tokens that a model can be told to think.
const minBudget = 1024

// Settings are the parameters of a request as a model takes them.
type Settings struct {
	// MaxTokens is 0 where neither the client nor the caller sets a limit.
	MaxTokens         int64
	Temperature, TopP *float64
	TopK              *int64
	// Thinking is the thinking object to send, or nil; Thinks says that the
	// model will think, so that it cannot be forced to call a tool.
	Thinking jsontext.Value
	Thinks   bool
	// Effort is the word for how much to reason, or "".
	Effort string
	// Dropped names what the model does not take and what was changed.
	Dropped []string
}

// Settle fits the limits, sampling and reasoning of a request to a model.
// defaultMax is the token limit where the client sets none; 0: no limit.
func Settle(r *chat.Request, can Abilities, defaultMax int64) Settings {
	s := Settings{MaxTokens: r.MaxTokens}
	vendor := parseThinking(r.Thinking)
	budget := budgetOf(r.Effort)
	switch {
	case r.Thinking != nil:
		budget = vendor.Budget
	case can.NoThinking || forced(r, can):
		budget = 0
	}
	if s.MaxTokens == 0 && defaultMax > 0 {
		s.MaxTokens = defaultMax + budget // what is thought leaves room for the answer
	}
	s.Thinks = r.Thinking != nil && vendor.Type != "disabled"
	s.reason(r, can, budget)
	s.sample(r, can)
	return s
}

// thinking is what must be known of Anthropic's own thinking object.
type thinking struct {
	Type   string `json:"type"`
	Budget int64  `json:"budget_tokens"`
}

// parseThinking reads what it can: what is wrong is for the provider to say.
func parseThinking(v jsontext.Value) thinking {
	if len(v) == 0 {
		return thinking{}
	}
	var t thinking
	if json.Unmarshal(v, &t) != nil {
		return thinking{}
	}
	return t
}

func budgetOf(effort string) int64 {
	switch effort {
	case "minimal", "low":
		return minBudget
	case "medium":
		return 2048
	case "high":
		return 4096
	case "xhigh":
		return 8192
	case "max":
		return 16384
	}
	return 0
}

func (s *Settings) reason(r *chat.Request, can Abilities, budget int64) {
	switch {
	case r.Thinking != nil:
		s.Thinking = r.Thinking
		s.word(r.Effort, can)
	case r.Effort == "" || r.Effort == "none" && can.NoThinking:
	case r.Effort == "none":
		s.Thinking = jsontext.Value(`{"type":"disabled"}`)
	case can.NoThinking && can.Effort, forced(r, can):
		s.word(r.Effort, can)
	case can.Adaptive:
		s.word(r.Effort, can)
		// Newer models keep their thoughts to themselves unless they are asked.
		s.Thinking, s.Thinks = jsontext.Value(`{"type":"adaptive","display":"summarized"}`), true
	case can.NoThinking || s.MaxTokens > 0 && s.MaxTokens <= minBudget || thoughtless(r):
		s.Dropped = append(s.Dropped, "reasoning_effort")
	default:
		if can.Effort {
			s.word(r.Effort, can)
		}
		if s.MaxTokens > 0 {
			budget = min(budget, s.MaxTokens-1)
		}
		s.Thinking = jsontext.Value(`{"type":"enabled","budget_tokens":` + strconv.FormatInt(budget, 10) + `}`)
		s.Thinks = true
	}
}

// forced says that the model must call a tool, be it one that stands in for a
// response format. It can not think before that, and a client that counts on the
// call could do nothing with another answer.
func forced(r *chat.Request, can Abilities) bool {
	switch r.ToolChoice.Mode {
	case chat.ToolsRequired, chat.ToolsNamed:
		return len(r.AllowedTools()) > 0
	default:
		return r.Format.Kind == chat.FormatSchema && !can.Schema && len(r.AllowedTools()) == 0
	}
}

// thoughtless says that the model is in the middle of its tool calls and that
// the client has not sent back what it thought before them. Claude cannot begin
// to think there, and most clients of OpenAI's protocol do not keep thoughts.
func thoughtless(r *chat.Request) bool {
	var first []chat.Block // of the model's since the user last spoke
	for i := len(r.Turns) - 1; i > 0 && r.Turns[i].Blocks[0].Kind == chat.ToolResult; i -= 2 {
		first = r.Turns[i-1].Blocks
	}
	for _, b := range first {
		switch {
		case b.Kind == chat.Thinking && b.Signature == "": // it is not sent
		default:
			return b.Kind != chat.Thinking && b.Kind != chat.RedactedThinking
		}
	}
	return false
}

// word sets the effort, where there is one and the model is told of it by a
// word. Of those that it does not know it gets the next lower one.
func (s *Settings) word(effort string, can Abilities) {
	switch {
	case effort == "" || effort == "none":
	case !can.Effort:
		s.Dropped = append(s.Dropped, "reasoning_effort")
	case effort == "minimal":
		s.Effort = "low"
	case effort == "max" && !can.MaxEffort, effort == "xhigh" && !can.XHighEffort:
		s.Effort = "high"
		s.Dropped = append(s.Dropped, "reasoning_effort")
	default:
		s.Effort = effort
	}
}

func (s *Settings) sample(r *chat.Request, can Abilities) {
	if can.NoSampling || s.Thinks {
		if r.Temperature != nil && *r.Temperature != 1 {
			s.Dropped = append(s.Dropped, "temperature")
		}
		if r.TopP != nil && *r.TopP != 1 {
			s.Dropped = append(s.Dropped, "top_p")
		}
		if r.TopK != nil {
			s.Dropped = append(s.Dropped, "top_k")
		}
		return
	}
	s.TopP, s.TopK = r.TopP, r.TopK
	if r.Temperature == nil {
		return
	}
	s.Temperature = r.Temperature
	if *r.Temperature > 1 {
		most := 1.0
		s.Temperature = &most
		s.Dropped = append(s.Dropped, "temperature")
	}
	if can.OneSampling && s.TopP != nil {
		s.chooseSampling(*r.Temperature)
	}
}

// chooseSampling leaves one of temperature and top_p: that which says something,
// or else the temperature.
func (s *Settings) chooseSampling(temperature float64) {
	switch {
	case *s.TopP == 1:
		s.TopP = nil
	case temperature == 1:
		s.Temperature = nil
	default:
		s.TopP = nil
		s.Dropped = append(s.Dropped, "top_p")
	}
}

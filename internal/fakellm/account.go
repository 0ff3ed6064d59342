package fakellm

import (
	"maps"
	"sync"
)

// Account is what one provider of the fake has served.
type Account struct {
	// Requests counts all, of which OK were answered in full, Failed with an
	// error status or error event, Broken were cut or ended early by order and
	// Cancelled were left by the client.
	Requests  int `json:"requests"`
	OK        int `json:"ok"`
	Failed    int `json:"failed"`
	Broken    int `json:"broken"`
	Cancelled int `json:"cancelled"`
	// Rejected are those of Failed that were refused for their form: a field,
	// header, credential or signature that the provider would not take.
	Rejected int `json:"rejected"`
	Streams  int `json:"streams"`
	// Reported are the tokens of every usage that went over the wire.
	Reported Tokens `json:"reported"`
	// ByModel is Reported for each model.
	ByModel map[string]Tokens `json:"byModel"`
}

// Tokens counts tokens. Cached is part of Input, Reasoning part of Output.
type Tokens struct {
	Input     int `json:"input"`
	Cached    int `json:"cached"`
	Output    int `json:"output"`
	Reasoning int `json:"reasoning"`
}

func (t *Tokens) add(u usage) {
	t.Input += u.input
	t.Cached += u.cached
	t.Output += u.output
	t.Reasoning += u.reasoning
}

// outcome is how a request ended.
type outcome int

const (
	outcomeOK outcome = iota
	outcomeRejected
	outcomeFailed
	outcomeBroken
	outcomeCancelled
)

// ledger keeps an Account per provider.
type ledger struct {
	mu       sync.Mutex
	accounts map[string]*Account
}

func (l *ledger) book(provider string, p prompt, out outcome, reported usage) {
	l.mu.Lock()
	defer l.mu.Unlock()
	a := l.accounts[provider]
	if a == nil {
		a = &Account{ByModel: map[string]Tokens{}}
		l.accounts[provider] = a
	}
	a.Requests++
	switch out {
	case outcomeOK:
		a.OK++
	case outcomeRejected:
		a.Rejected++
		a.Failed++
	case outcomeFailed:
		a.Failed++
	case outcomeBroken:
		a.Broken++
	case outcomeCancelled:
		a.Cancelled++
	}
	if p.stream {
		a.Streams++
	}
	if provider != (openAI{}).name() {
		reported.reasoning = 0 // only OpenAI tells
	}
	a.Reported.add(reported)
	if p.model != "" {
		t := a.ByModel[p.model]
		t.add(reported)
		a.ByModel[p.model] = t
	}
}

// read returns a copy of all accounts.
func (l *ledger) read() map[string]Account {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := make(map[string]Account, len(l.accounts))
	for name, a := range l.accounts {
		c := *a
		c.ByModel = maps.Clone(a.ByModel)
		out[name] = c
	}
	return out
}

func (l *ledger) reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.accounts = map[string]*Account{}
}

package ir

// PriceTable says what LLM providers charge.
type PriceTable struct {
	Prices []Price `json:"prices"`
}

// Price is what a million tokens of a model cost, in nano-dollars (1e-9 USD).
type Price struct {
	// Provider is one of openai, anthropic and bedrock; empty: any.
	Provider string `json:"provider,omitempty"`
	// Model is the model that the provider is asked for; "*" stands for any
	// characters.
	Model string `json:"model"`
	// Input is for prompt tokens that are neither read from the provider's
	// cache nor written to it.
	Input       int64 `json:"input"`
	CachedInput int64 `json:"cachedInput"`
	CacheWrite  int64 `json:"cacheWrite"`
	Output      int64 `json:"output"`
}

// Package observe is what people see of the data plane: Prometheus metrics
// named citoroute_* and, after OpenTelemetry's conventions, gen_ai_*, and the
// access log. Counting an HTTP request takes no lock and allocates nothing; an
// LLM request takes one lock. A log line never makes a request wait.
package observe

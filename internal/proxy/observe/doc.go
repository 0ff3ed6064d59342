// Package observe is what people see of the data plane: Prometheus metrics
// named citoroute_* and the access log. Counting a request takes no lock and
// allocates nothing; a log line never makes a request wait.
package observe

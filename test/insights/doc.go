// Package insights runs the alerts of config/prometheus on series that are made
// up, and checks that every metric and label in them and in the dashboard of
// grafana/ is one that our programs have. It is a module of its own, so that
// nobody who builds the gateway gets Prometheus with it.
//
// Go's cache of test results sees no files outside the module, which are what is
// tested here: run the tests with -count=1 or, as make does, with -shuffle=on.
package insights

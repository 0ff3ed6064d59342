// Package balance chooses: a backend by weight, an endpoint by load. It holds
// no lock and allocates nothing per choice. Time and randomness are arguments.
//
// It knows neither HTTP nor configuration and imports the standard library only.
package balance

// Package chat is the model between client protocols and providers: a
// conversation as a request, an answer as a response or a stream of events,
// usage and errors. Client protocols parse into it and encode from it,
// providers build from it and decode into it; see package ai.
//
// It imports the standard library and package poison only.
package chat

// Package fakellm stands in for the three LLM providers where there is no key,
// no network and no patience: OpenAI (/v1/chat/completions, /v1/responses,
// /v1/embeddings, /v1/models), Anthropic (/v1/messages) and Amazon Bedrock
// (/model/{id}/converse and /converse-stream), with AWS's token service for the
// role that its requests may be made in (POST /), on one port.
//
// It is deterministic: the same request gets the same answer ("You said: …"),
// in the same pieces. It is strict: a field, header, role order, credential or
// signature that the provider would refuse is refused here in the provider's
// own words, so that what passes the fake passes the provider. It keeps its
// own account of requests and tokens at GET /fake/account, to hold a gateway's
// counters against.
//
// Orders make it misbehave, see [Orders]: in a prompt as "[fake status=429]",
// in the header field X-Fake, or for all requests by PUT /fake/orders.
//
// It is a test tool, built on net/http, and must not be imported by the data
// plane.
package fakellm

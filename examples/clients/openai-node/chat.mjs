// Talks to a gateway with OpenAI's own client, the way any application does.
// The only thing that is CitoRoute's is the address: GATEWAY is a base URL, as
// the client wants one; ENDPOINT is the whole URL of a route with an exact path.
// TOKEN is for routes that demand one.
import assert from "node:assert/strict";
import OpenAI from "openai";
import { run } from "../checks.mjs";

const client = new OpenAI({
  baseURL: process.env.GATEWAY ?? "http://127.0.0.1:8080/v1",
  apiKey: process.env.TOKEN ?? "the-provider-never-sees-this",
  fetch: (url, init) => fetch(process.env.ENDPOINT ?? url, init),
  maxRetries: 0,
});
const model = "fake-large";
const say = (content) => [{ role: "user", content }];
const tools = [{
  type: "function",
  function: {
    name: "get_weather",
    description: "The weather in a city",
    parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
  },
}];

const checks = {
  async "an answer"() {
    const answer = await client.chat.completions.create({ model, messages: say("Hello!") });
    assert.equal(answer.choices[0].message.content, "You said: Hello!");
    assert.equal(answer.choices[0].finish_reason, "stop");
    assert.equal(answer.usage.total_tokens, answer.usage.prompt_tokens + answer.usage.completion_tokens);
  },

  async "a streamed answer, in pieces, with usage"() {
    const stream = await client.chat.completions.create({
      model, messages: say("one two three"), stream: true, stream_options: { include_usage: true },
    });
    let text = "", pieces = 0, usage;
    for await (const chunk of stream) {
      const piece = chunk.choices[0]?.delta?.content;
      if (piece) { text += piece; pieces++; }
      usage = chunk.usage ?? usage;
    }
    assert.equal(text, "You said: one two three");
    assert.ok(pieces > 3, `${pieces} pieces`);
    assert.equal(usage.completion_tokens, 5);
  },

  async "a tool call and its result"() {
    const messages = say("Weather?");
    const first = await client.chat.completions.create({ model, messages, tools, tool_choice: "required" });
    const call = first.choices[0].message.tool_calls[0];
    assert.equal(call.function.name, "get_weather");
    assert.deepEqual(JSON.parse(call.function.arguments), { city: "text" });
    messages.push(first.choices[0].message, { role: "tool", tool_call_id: call.id, content: "Sunny" });
    const second = await client.chat.completions.create({ model, messages, tools });
    assert.equal(second.choices[0].message.content, "The tools said: Sunny");
  },

  async "a streamed tool call, put together by the client"() {
    const runner = client.chat.completions.stream({ model, messages: say("Weather?"), tools, tool_choice: "required" });
    const answer = await runner.finalChatCompletion();
    assert.equal(answer.choices[0].finish_reason, "tool_calls");
    assert.deepEqual(JSON.parse(answer.choices[0].message.tool_calls[0].function.arguments), { city: "text" });
  },

  async "a provider's error, as OpenAI's client knows it"() {
    await assert.rejects(
      client.chat.completions.create({ model, messages: say("[fake status=429 retry-after=7]") }),
      (err) => err instanceof OpenAI.RateLimitError && err.status === 429 && err.headers.get("retry-after") === "7",
    );
  },

  async "a stream that breaks off, told from one that ends"() {
    const stream = await client.chat.completions.create({ model, messages: say("one two three [fake cut-after=2]"), stream: true });
    await assert.rejects(async () => {
      for await (const chunk of stream) assert.equal(chunk.choices[0]?.finish_reason ?? null, null);
    });
  },
};

await run(checks);

// Talks to a gateway with Anthropic's own client, the way any application does,
// whoever answers. The only thing that is CitoRoute's is the address.
import assert from "node:assert/strict";
import Anthropic from "@anthropic-ai/sdk";
import { run } from "../checks.mjs";

const gateway = process.env.GATEWAY ?? "http://127.0.0.1:8080";
const model = "fake-large";
const say = (content) => [{ role: "user", content }];
const tools = [{
  name: "get_weather",
  description: "The weather in a city",
  input_schema: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
}];
const checks = {};

for (const provider of ["openai", "anthropic", "bedrock"]) {
  const client = new Anthropic({ baseURL: `${gateway}/${provider}`, apiKey: "the-provider-never-sees-this", maxRetries: 0 });
  const base = { model, max_tokens: 100 };
  const check = (name, f) => { checks[`${provider}: ${name}`] = f; };

  check("an answer", async () => {
    const answer = await client.messages.create({ ...base, system: "Be brief.", messages: say("Hello!") });
    assert.deepEqual(answer.content.map((b) => b.text), ["You said: Hello!"]);
    assert.equal(answer.stop_reason, "end_turn");
    assert.ok(answer.usage.input_tokens > 0 && answer.usage.output_tokens > 0);
  });

  check("a streamed answer, put together by the client", async () => {
    let pieces = 0;
    const answer = await client.messages.stream({ ...base, messages: say("one two three") })
      .on("text", () => pieces++).finalMessage();
    assert.equal(answer.content[0].text, "You said: one two three");
    assert.ok(pieces > 3, `${pieces} pieces`);
    assert.equal(answer.usage.output_tokens, 5);
  });

  check("a tool call and its result", async () => {
    const messages = say("Weather?");
    const first = await client.messages.create({ ...base, messages, tools, tool_choice: { type: "any" } });
    assert.equal(first.stop_reason, "tool_use");
    const call = first.content.find((b) => b.type === "tool_use");
    assert.deepEqual(call.input, { city: "text" });
    messages.push({ role: "assistant", content: first.content }, { role: "user", content: [{ type: "tool_result", tool_use_id: call.id, content: "Sunny" }] });
    const second = await client.messages.create({ ...base, messages, tools });
    assert.equal(second.content[0].text, "The tools said: Sunny");
  });

  check("a streamed tool call", async () => {
    const answer = await client.messages.stream({ ...base, messages: say("Weather?"), tools, tool_choice: { type: "any" } }).finalMessage();
    assert.deepEqual(answer.content[0].input, { city: "text" });
  });

  check("marks for a cache, whatever the model", async () => {
    const mark = { cache_control: { type: "ephemeral" } };
    const answer = await client.messages.create({
      ...base,
      system: [{ type: "text", text: "Be brief.", ...mark }, { type: "text", text: "Be kind.", cache_control: null }],
      messages: say([{ type: "text", text: "Hello!", ...mark }]),
      tools: [{ ...tools[0], ...mark }],
    });
    assert.equal(answer.content[0].text, "You said: Hello!");
  });

  check("an answer to no call, refused", async () => {
    await assert.rejects(
      client.messages.create({ ...base, tools, messages: say([{ type: "tool_result", tool_use_id: "none", content: "x" }]) }),
      (err) => err instanceof Anthropic.BadRequestError && err.error.error.type === "invalid_request_error",
    );
  });

  check("a provider's error, as Anthropic's client knows it", async () => {
    await assert.rejects(
      client.messages.create({ ...base, messages: say("[fake status=429 retry-after=7]") }),
      (err) => err instanceof Anthropic.RateLimitError && err.error.error.type === "rate_limit_error" && err.headers.get("retry-after") === "7",
    );
  });

  check("a stream that breaks off, told from one that ends", async () => {
    await assert.rejects(client.messages.stream({ ...base, messages: say("one two three [fake cut-after=2]") }).finalMessage());
  });

  if (provider === "anthropic") {
    check("tokens, counted before they are spent", async () => {
      const count = await client.messages.countTokens({ model, system: "Be brief.", messages: say("one two three") });
      assert.equal(count.input_tokens, 5);
    });
  }

  if (provider !== "openai") {
    check("thoughts, sent back with their proof", async () => {
      const messages = say("Think. [fake think]");
      const first = await client.messages.create({ ...base, max_tokens: 4000, thinking: { type: "enabled", budget_tokens: 1024 }, messages });
      assert.deepEqual(first.content.map((b) => b.type), ["thinking", "text"]);
      messages.push({ role: "assistant", content: first.content }, ...say("And?"));
      await client.messages.create({ ...base, messages });
    });
  }
}

await run(checks);

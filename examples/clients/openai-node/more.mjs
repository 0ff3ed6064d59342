// What chat.mjs does not ask: thoughts, responses and embeddings, of providers
// whose own protocol is another.
import assert from "node:assert/strict";
import OpenAI from "openai";
import { run } from "../checks.mjs";

const gateway = process.env.GATEWAY ?? "http://127.0.0.1:8080";
const embeddings = process.env.EMBEDDINGS ?? "http://127.0.0.1:8081";
const model = "fake-large";
const say = (content) => [{ role: "user", content }];
const schema = { type: "object", properties: { city: { type: "string" } }, required: ["city"] };
const connect = (baseURL) => new OpenAI({ baseURL, apiKey: "the-provider-never-sees-this", maxRetries: 0 });
const checks = {};

for (const provider of ["anthropic", "bedrock"]) {
  const client = connect(`${gateway}/${provider}/v1`);
  const check = (name, f) => { checks[`${provider}: ${name}`] = f; };

  check("thoughts, sent back with their proof", async () => {
    const messages = say("Think. [fake think]");
    const first = await client.chat.completions.create({ model, messages });
    assert.ok(first.choices[0].message.reasoning_content);
    messages.push(first.choices[0].message, ...say("And?"));
    await client.chat.completions.create({ model, messages });
  });

  check("a function call, as tool calls were named once", async () => {
    const asked = { model, messages: say("Weather?"), functions: [{ name: "get_weather", parameters: schema }], function_call: { name: "get_weather" } };
    const answer = await client.chat.completions.create(asked);
    assert.equal(answer.choices[0].finish_reason, "function_call");
    const streamed = await client.chat.completions.stream(asked).finalChatCompletion();
    assert.deepEqual(JSON.parse(streamed.choices[0].message.function_call.arguments), { city: "text" });
  });

  check("a response", async () => {
    const answer = await client.responses.create({ model, input: "Hello!" });
    assert.equal(answer.output_text, "You said: Hello!");
    assert.equal(answer.status, "completed");
  });

  check("a streamed response with a tool call, put together by the client", async () => {
    const answer = await client.responses.stream({
      model, input: "Weather?", tool_choice: "required", tools: [{ type: "function", name: "get_weather", parameters: schema, strict: false }],
    }).finalResponse();
    assert.deepEqual(JSON.parse(answer.output[0].arguments), { city: "text" });
  });
}

for (const [maker, path] of [["amazon", "/v1"], ["cohere", "/cohere/v1"]]) {
  const client = connect(`${embeddings}${path}`);
  for (const encoding_format of [undefined, "float"]) {
    checks[`${maker}: an embedding, ${encoding_format ?? "in the client's own format"}`] = async () => {
      const answer = await client.embeddings.create({ model, input: ["one two three"], encoding_format });
      assert.ok(answer.data[0].embedding.every((n) => typeof n === "number" && Math.abs(n) <= 1));
      assert.equal(answer.usage.total_tokens, 3);
    };
  }
}

await run(checks);

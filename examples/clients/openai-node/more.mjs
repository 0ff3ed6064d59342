// What chat.mjs does not ask: responses of each provider; thoughts and embeddings
// of those whose own protocol is another.
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

}

for (const provider of ["openai", "anthropic", "bedrock"]) {
  const client = connect(`${gateway}/${provider}/v1`);
  const check = (name, f) => { checks[`${provider}: ${name}`] = f; };
  const tools = [{ type: "function", name: "get_weather", parameters: schema, strict: false }];

  check("a response", async () => {
    const answer = await client.responses.create({ model, input: "Hello!" });
    assert.equal(answer.output_text, "You said: Hello!");
    assert.equal(answer.status, "completed");
    assert.equal(answer.usage.output_tokens, 3);
  });

  check("a streamed response, in pieces, with usage", async () => {
    const stream = await client.responses.create({ model, input: "one two three", stream: true });
    let text = "", pieces = 0, last;
    for await (const event of stream) {
      if (event.type === "response.output_text.delta") { text += event.delta; pieces++; }
      last = event;
    }
    assert.equal(text, "You said: one two three");
    assert.equal(pieces, 5);
    assert.equal(last.type, "response.completed");
    assert.equal(last.response.usage.output_tokens, 5);
  });

  check("a streamed response with a tool call, put together by the client, and its result", async () => {
    const input = say("Weather?");
    const first = await client.responses.stream({ model, input, tools, tool_choice: "required" }).finalResponse();
    const call = first.output[0];
    assert.deepEqual(JSON.parse(call.arguments), { city: "text" });
    input.push({ type: "function_call", call_id: call.call_id, name: call.name, arguments: call.arguments });
    input.push({ type: "function_call_output", call_id: call.call_id, output: "Sunny" });
    const second = await client.responses.create({ model, input, tools });
    assert.equal(second.output_text, "The tools said: Sunny");
  });

  check("a response's thoughts, sent back with their proof", async () => {
    const input = say("Think. [fake think]");
    const asked = { model, store: false, include: ["reasoning.encrypted_content"], reasoning: { summary: "auto" } };
    const first = await client.responses.create({ ...asked, input });
    assert.equal(first.output[0].type, "reasoning");
    assert.ok(first.output[0].summary[0].text && first.output[0].encrypted_content);
    const second = await client.responses.create({ ...asked, input: [...input, ...first.output, ...say("And?")] });
    assert.equal(second.output_text, "You said: And?");
  });

  check("a streamed response that breaks off, told from one that ends", async () => {
    const stream = await client.responses.create({ model, input: "one two three [fake cut-after=2]", stream: true });
    await assert.rejects(async () => {
      for await (const event of stream) if (event.type === "error") throw new Error(event.message);
    });
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

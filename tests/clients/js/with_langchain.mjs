/** LangChain's ChatOpenAI, by the Responses API and by chat completions. */

import assert from 'node:assert/strict';
import { HumanMessage, ToolMessage } from '@langchain/core/messages';
import { tool } from '@langchain/core/tools';
import { ChatOpenAI } from '@langchain/openai';
import { z } from 'zod';
import { all, key, test, toolsSaid, turns, url } from './cases.mjs';

const Person = z.object({ name: z.string(), age: z.number() });
const weather = tool(({ city }) => `sunny in ${city}`, {
  name: 'weather',
  description: 'The weather in a city',
  schema: z.object({ city: z.string() }),
});
const registry = { type: 'mcp', server_label: 'registry', require_approval: 'never' };
const code = { type: 'code_interpreter', container: { type: 'auto' } };
const inOslo = ['sunny in Oslo', 'sunny in Rome'];
const apis = [false, true];

const chat = (useResponsesApi, more = {}) =>
  new ChatOpenAI({ configuration: { baseURL: url }, apiKey: key, maxRetries: 0, model: 'scripted', useResponsesApi, ...more });
const whole = (model, told, options) => model.invoke(told, options);
const streamed = async (model, told, options) =>
  (await all(await model.stream(told, options))).reduce((joined, chunk) => joined.concat(chunk));

/** What the tools said, as the model is told in the turn that follows. */
async function remembered(api, told) {
  return toolsSaid((await chat(api, { model: 'echo' }).invoke([...told, new HumanMessage('and?')])).text);
}

await test('a text answer with its usage', async () => {
  for (const api of apis) {
    const answer = await chat(api).invoke('hello');
    assert.equal(answer.text, 'You said: hello');
    const { input_tokens, output_tokens, total_tokens } = answer.usage_metadata;
    assert.ok(input_tokens > 0 && output_tokens > 0);
    assert.equal(total_tokens, input_tokens + output_tokens);
  }
});

await test('a text answer is streamed', async () => {
  for (const api of apis) {
    const chunks = await all(await chat(api).stream('in pieces'));
    assert.equal(chunks.map((chunk) => chunk.text).join(''), 'This answer comes in pieces.');
    assert.ok(chunks.filter((chunk) => chunk.text).length > 1);
    assert.ok(chunks.reduce((joined, chunk) => joined.concat(chunk)).usage_metadata.output_tokens > 0);
  }
});

await test('three turns whose history is sent whole', async () => {
  for (const api of apis) {
    const told = [];
    for (const [word, expected] of turns) {
      told.push(new HumanMessage(word));
      told.push(await chat(api, { model: 'echo' }).invoke(told));
      assert.equal(told.at(-1).text, expected);
    }
  }
});

await test('three turns by the previous response', async () => {
  let previous_response_id;
  for (const [word, expected] of turns) {
    const answer = await chat(true, { model: 'echo' }).invoke(word, { previous_response_id });
    assert.equal(answer.text, expected);
    previous_response_id = answer.response_metadata.id;
  }
});

await test('functions are called and their results are used', async () => {
  for (const api of apis) {
    for (const ask of [whole, streamed]) {
      for (const [text, counts, expected] of [
        ['the weather in both cities', [2, 0], 'Both are known; the last is sunny in Rome.'],
        ['the weather, one after the other', [1, 1, 0], 'The last is sunny in Rome.'],
      ]) {
        const told = [new HumanMessage(text)];
        for (const count of counts) {
          const answer = await ask(chat(api).bindTools([weather]), told);
          assert.equal(answer.tool_calls.length, count);
          told.push(answer, ...(await Promise.all(answer.tool_calls.map((call) => weather.invoke(call)))));
        }
        assert.equal(told.at(-1).text, expected);
        assert.equal(told.filter((message) => ToolMessage.isInstance(message)).length, 2);
        assert.deepEqual(await remembered(api, told), inOslo);
      }
    }
  }
});

await test('an answer of a given shape', async () => {
  for (const api of apis) {
    for (const [method, text] of [
      ['jsonSchema', 'a person as JSON'],
      ['jsonMode', 'a person as JSON'],
      ['functionCalling', 'a person by a tool'],
    ]) {
      const model = chat(api).withStructuredOutput(Person, { name: 'Person', method });
      assert.deepEqual(await model.invoke(text), { name: 'Ann', age: 31 });
      if (api && method === 'functionCalling') continue; // its parser reads no stream whose messages have parts
      assert.deepEqual((await all(await model.stream(text))).at(-1), { name: 'Ann', age: 31 });
    }
  }
});

await test('tools of the registry', async () => {
  for (const ask of [whole, streamed]) {
    const told = [new HumanMessage('double twice')];
    const answer = await ask(chat(true).bindTools([registry]), told);
    assert.equal(answer.text, 'It is 8.');
    assert.deepEqual(await remembered(true, [...told, answer]), ['42', '8']);
  }
});

await test('a tool of the registry that is approved or refused', async () => {
  const model = chat(true).bindTools([{ ...registry, require_approval: 'always' }]);
  for (const approve of [true, false]) {
    const asking = await model.invoke('double it');
    const [request] = asking.response_metadata.output.filter((item) => item.type === 'mcp_approval_request');
    const answer = { type: 'mcp_approval_response', approve, approval_request_id: request.id };
    const options = { previous_response_id: asking.response_metadata.id };
    const done = await model.invoke([new HumanMessage({ content: [answer] })], options);
    assert.equal(done.text === 'It is 42.', approve);
    assert.match(done.text, /^It is /);
  }
});

await test('code is run in the sandbox', async () => {
  for (const ask of [whole, streamed]) {
    const told = [new HumanMessage('What is 1234 * 5678?')];
    const answer = await ask(chat(true).bindTools([code]), told, { include: ['code_interpreter_call.outputs'] });
    assert.match(answer.text, /It is 7006652\.$/);
    assert.deepEqual(await remembered(true, [...told, answer]), ['7006652']);
  }
});

await test('reasoning is shown and counted', async () => {
  const model = chat(true, { model: 'gpt-5-mini', reasoning: { effort: 'low', summary: 'auto' } });
  for (const ask of [whole, streamed]) {
    const told = [new HumanMessage('think')];
    const answer = await ask(model, told);
    const [thought] = answer.contentBlocks.filter((block) => block.type === 'reasoning');
    assert.equal(thought.reasoning, 'Hm, let me see.');
    const { input_tokens, input_token_details, output_tokens, output_token_details } = answer.usage_metadata;
    assert.deepEqual([input_tokens, input_token_details.cache_read], [9, 4]);
    assert.deepEqual([output_tokens, output_token_details.reasoning], [20, 11]);
    assert.deepEqual(await remembered(true, [...told, answer]), ['']);
  }
});

await test('a stream is aborted in its midst', async () => {
  for (const api of apis) {
    const abort = new AbortController();
    let text = '';
    await assert.rejects(async () => {
      for await (const chunk of await chat(api).stream('endless', { signal: abort.signal })) {
        text += chunk.text;
        if (text) abort.abort();
      }
    }, /abort/i);
    assert.equal(text, 'one ');
  }
});

await test('an unknown model is a typed error', async () => {
  for (const api of apis) {
    await assert.rejects(chat(api, { model: 'nonsense' }).invoke('hello'), { status: 404, code: 'model_not_found' });
  }
});

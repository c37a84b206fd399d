/** OpenAI's own package: Responses, Conversations, Chat Completions with their helpers, Models. */

import assert from 'node:assert/strict';
import OpenAI, { APIUserAbortError, AuthenticationError, NotFoundError } from 'openai';
import { zodFunction, zodResponseFormat, zodResponsesFunction, zodTextFormat } from 'openai/helpers/zod';
import { z } from 'zod';
import { all, key, test, toolsSaid, turns, url } from './cases.mjs';

const client = new OpenAI({ baseURL: url, apiKey: key, maxRetries: 0 });
const model = 'scripted';
const Person = z.object({ name: z.string(), age: z.number() });
const City = z.object({ city: z.string() });
const ann = { name: 'Ann', age: 31 };
const weather = zodResponsesFunction({ name: 'weather', parameters: City });
const registry = { type: 'mcp', server_label: 'registry', require_approval: 'never' };
const code = { type: 'code_interpreter', container: { type: 'auto' } };
const include = ['code_interpreter_call.outputs'];
const asked = (text) => [{ role: 'user', content: text }];
const ofType = (response, type) => response.output.filter((item) => item.type === type);

/** What the tools said, as the model is told in the turn that follows. */
async function remembered(said, response) {
  const input = [...asked(said), ...response.output, ...asked('and?')];
  return toolsSaid((await client.responses.create({ model: 'echo', input })).output_text);
}

await test('a text answer with its usage', async () => {
  const response = await client.responses.create({ model, input: 'hello' });
  assert.equal(response.output_text, 'You said: hello');
  assert.ok(response.usage.input_tokens > 0 && response.usage.output_tokens > 0);
  assert.equal(response.usage.total_tokens, response.usage.input_tokens + response.usage.output_tokens);
  const chat = await client.chat.completions.create({ model, messages: asked('hello') });
  assert.equal(chat.choices[0].message.content, 'You said: hello');
  assert.ok(chat.usage.total_tokens > 0);
});

await test('a text answer is streamed', async () => {
  const events = await all(await client.responses.create({ model, input: 'in pieces', stream: true }));
  const deltas = events.filter((event) => event.type === 'response.output_text.delta').map((event) => event.delta);
  assert.equal(deltas.join(''), 'This answer comes in pieces.');
  assert.ok(deltas.length > 1);
  const stream = client.responses.stream({ model, input: 'in pieces' });
  assert.equal((await stream.finalResponse()).output_text, 'This answer comes in pieces.');
  const chat = client.chat.completions.stream({ model, messages: asked('in pieces'), stream_options: { include_usage: true } });
  assert.equal(await chat.finalContent(), 'This answer comes in pieces.');
  assert.ok((await chat.totalUsage()).total_tokens > 0);
});

await test('three turns: sent whole, by the previous response, in a conversation, in a chat', async () => {
  const input = [];
  const messages = [];
  let previous;
  const conversation = await client.conversations.create();
  for (const [word, expected] of turns) {
    input.push(...asked(word));
    const whole = await client.responses.create({ model: 'echo', input });
    input.push(...whole.output);
    const after = await client.responses.create({ model: 'echo', input: word, previous_response_id: previous });
    previous = after.id;
    const inside = await client.responses.create({ model: 'echo', input: word, conversation: conversation.id });
    messages.push(...asked(word));
    const chat = await client.chat.completions.create({ model: 'echo', messages });
    messages.push(chat.choices[0].message);
    const told = [whole.output_text, after.output_text, inside.output_text, chat.choices[0].message.content];
    assert.deepEqual(told, Array(4).fill(expected));
  }
  const items = await all(client.conversations.items.list(conversation.id, { order: 'asc', limit: 2 }));
  assert.deepEqual(items.map((item) => item.role), ['user', 'assistant', 'user', 'assistant', 'user', 'assistant']);
  await client.conversations.delete(conversation.id);
});

await test('functions are called in parallel, in a stream too, and their results are used', async () => {
  const said = 'the weather in both cities';
  const whole = await client.responses.parse({ model, input: said, tools: [weather] });
  const stream = client.responses.stream({ model, input: said, tools: [weather] });
  for (const response of [whole, await stream.finalResponse()]) {
    const calls = ofType(response, 'function_call');
    assert.deepEqual(calls.map((call) => call.parsed_arguments), [{ city: 'Oslo' }, { city: 'Rome' }]);
    const results = calls.map((call) => ({
      type: 'function_call_output',
      call_id: call.call_id,
      output: `sunny in ${call.parsed_arguments.city}`,
    }));
    const expected = 'Both are known; the last is sunny in Rome.';
    const history = [...asked(said), ...response.output, ...results];
    assert.equal((await client.responses.create({ model, input: history, tools: [weather] })).output_text, expected);
    const after = { model, input: results, previous_response_id: response.id, tools: [weather] };
    assert.equal((await client.responses.create(after)).output_text, expected);
  }
});

await test('functions are run by the helper for chats', async () => {
  const called = [];
  const tool = zodFunction({
    name: 'weather',
    parameters: City,
    function: ({ city }) => {
      called.push(city);
      return `sunny in ${city}`;
    },
  });
  for (const stream of [false, true]) {
    const messages = asked('the weather, one after the other');
    const runner = client.chat.completions.runTools({ model, stream, messages, tools: [tool] });
    assert.equal(await runner.finalContent(), 'The last is sunny in Rome.');
  }
  assert.deepEqual(called, ['Oslo', 'Rome', 'Oslo', 'Rome']);
});

await test('an answer of a given shape', async () => {
  const text = { format: zodTextFormat(Person, 'person') };
  const input = 'a person as JSON';
  assert.deepEqual((await client.responses.parse({ model, input, text })).output_parsed, ann);
  assert.deepEqual((await client.responses.stream({ model, input, text }).finalResponse()).output_parsed, ann);
  const chat = { model, messages: asked(input), response_format: zodResponseFormat(Person, 'person') };
  assert.deepEqual((await client.chat.completions.parse(chat)).choices[0].message.parsed, ann);
  const streamed = await client.chat.completions.stream(chat).finalChatCompletion();
  assert.deepEqual(streamed.choices[0].message.parsed, ann);
  const byTool = { model, messages: asked('a person by a tool'), tools: [zodFunction({ name: 'Person', parameters: Person })] };
  const [call] = (await client.chat.completions.parse(byTool)).choices[0].message.tool_calls;
  assert.deepEqual(call.function.parsed_arguments, ann);
});

await test('tools of the registry', async () => {
  const request = { model, input: 'double twice', tools: [registry] };
  const whole = await client.responses.create(request);
  for (const response of [whole, await client.responses.stream(request).finalResponse()]) {
    assert.equal(response.output_text, 'It is 8.');
    assert.deepEqual(ofType(response, 'mcp_call').map((call) => [call.name, call.output]), [['double', '42'], ['double', '8']]);
    assert.deepEqual(await remembered(request.input, response), ['42', '8']);
  }
});

await test('a tool of the registry that is approved or refused', async () => {
  const tools = [{ ...registry, require_approval: 'always' }];
  for (const approve of [true, false]) {
    const asking = await client.responses.stream({ model, input: 'double it', tools }).finalResponse();
    const [request] = ofType(asking, 'mcp_approval_request');
    assert.deepEqual(JSON.parse(request.arguments), { x: 21 });
    const input = [{ type: 'mcp_approval_response', approval_request_id: request.id, approve }];
    const done = await client.responses.create({ model, input, tools, previous_response_id: asking.id });
    assert.equal(done.output_text === 'It is 42.', approve);
    assert.match(done.output_text, /^It is /);
  }
});

await test('code is run in the sandbox', async () => {
  const request = { model, input: 'What is 1234 * 5678?', tools: [code], include };
  const whole = await client.responses.create(request);
  for (const response of [whole, await client.responses.stream(request).finalResponse()]) {
    const [call] = ofType(response, 'code_interpreter_call');
    assert.deepEqual([call.code, call.outputs], ['print(1234 * 5678)', [{ type: 'logs', logs: '7006652' }]]);
    assert.equal(response.output_text, 'Let me see.It is 7006652.');
    assert.deepEqual(await remembered(request.input, response), ['7006652']);
  }
});

await test('code whose output was not asked for is known to the server', async () => {
  const request = { model, input: 'What is 1234 * 5678?', tools: [code] };
  const response = await client.responses.create(request);
  assert.equal(ofType(response, 'code_interpreter_call')[0].outputs, null);
  assert.deepEqual(await remembered(request.input, response), ['7006652']);
});

await test('reasoning is shown and counted', async () => {
  const request = { model, input: 'think', reasoning: { effort: 'low', summary: 'auto' } };
  const whole = await client.responses.create(request);
  for (const response of [whole, await client.responses.stream(request).finalResponse()]) {
    assert.equal(ofType(response, 'reasoning')[0].summary[0].text, 'Hm, let me see.');
    const { input_tokens, input_tokens_details, output_tokens, output_tokens_details } = response.usage;
    assert.deepEqual([input_tokens, input_tokens_details.cached_tokens], [9, 4]);
    assert.deepEqual([output_tokens, output_tokens_details.reasoning_tokens], [20, 11]);
    assert.deepEqual(await remembered(request.input, response), ['']);
  }
});

await test('a response in the background is followed, left, followed again and cancelled', async () => {
  const started = await client.responses.create({ model, input: 'endless', background: true, stream: true });
  let id, last;
  for await (const event of started) {
    id ??= event.response?.id;
    last = event.sequence_number;
    if (event.type === 'response.output_text.delta') break;
  }
  const followed = client.responses.stream({ response_id: id, starting_after: last - 1 });
  for await (const event of followed) {
    assert.equal(event.sequence_number, last);
    break;
  }
  assert.equal((await client.responses.cancel(id)).status, 'cancelled');
});

await test('a stream is aborted in its midst', async () => {
  const stream = await client.responses.create({ model, input: 'endless', stream: true });
  let text = '';
  for await (const event of stream) {
    if (event.type !== 'response.output_text.delta') continue;
    text += event.delta;
    stream.controller.abort();
  }
  assert.equal(text, 'one ');
  const helper = client.chat.completions.stream({ model, messages: asked('endless') });
  helper.on('content', () => helper.abort());
  await assert.rejects(helper.finalContent(), APIUserAbortError);
});

await test('models are listed', async () => {
  const models = await all(client.models.list());
  assert.deepEqual(models.map((each) => each.id), ['scripted', 'gpt-5-mini', 'echo']);
  assert.equal((await client.models.retrieve('echo')).id, 'echo');
});

await test('errors are of their own types', async () => {
  const unknown = { name: 'Error', code: 'model_not_found', status: 404 };
  for (const call of [
    () => client.responses.create({ model: 'nonsense', input: 'hello' }),
    () => client.responses.stream({ model: 'nonsense', input: 'hello' }).finalResponse(),
    () => client.chat.completions.create({ model: 'nonsense', messages: asked('hello') }),
  ]) {
    await assert.rejects(call(), NotFoundError);
    await assert.rejects(call(), unknown);
  }
  await assert.rejects(new OpenAI({ baseURL: url, apiKey: 'nonsense', maxRetries: 0 }).models.list(), AuthenticationError);
});

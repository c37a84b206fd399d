/** OpenAI's Agents SDK, by the Responses API (its own way) and by chat completions. */

import assert from 'node:assert/strict';
import {
  Agent, MemorySession, OpenAIConversationsSession, codeInterpreterTool, hostedMcpTool, run, setDefaultOpenAIClient,
  setOpenAIAPI, setTracingDisabled, tool,
} from '@openai/agents';
import OpenAI, { NotFoundError } from 'openai';
import { z } from 'zod';
import { all, key, test, toolsSaid, turns, url } from './cases.mjs';

const client = new OpenAI({ baseURL: url, apiKey: key, maxRetries: 0 });
const apis = ['responses', 'chat_completions'];
const Person = z.object({ name: z.string(), age: z.number() });
const weather = tool({
  name: 'weather',
  description: 'The weather in a city',
  parameters: z.object({ city: z.string() }),
  execute: ({ city }) => `sunny in ${city}`,
});
const inOslo = ['sunny in Oslo', 'sunny in Rome'];
const agent = (more = {}) => new Agent({ name: 'Helper', model: 'scripted', ...more });

setTracingDisabled(true);
setDefaultOpenAIClient(client);

async function byEach(attempt) {
  for (const api of apis) {
    setOpenAIAPI(api);
    await attempt(api);
  }
  setOpenAIAPI('responses');
}

async function streamed(...asked) {
  const result = await run(...asked, { stream: true });
  const text = (await all(result.toTextStream())).join('');
  await result.completed;
  return [text, result];
}

/** What the tools said, as the model is told in the turn that follows. */
async function remembered(result) {
  const again = await run(agent({ model: 'echo' }), [...result.history, { role: 'user', content: 'and?' }]);
  return toolsSaid(again.finalOutput);
}

await test('a text answer with its usage', () => byEach(async () => {
  const result = await run(agent({ instructions: 'be brief' }), 'hello');
  assert.equal(result.finalOutput, 'You said: hello');
  const { requests, inputTokens, outputTokens, totalTokens } = result.state.usage;
  assert.equal(requests, 1);
  assert.ok(inputTokens > 0 && outputTokens > 0);
  assert.equal(totalTokens, inputTokens + outputTokens);
}));

await test('a text answer is streamed', () => byEach(async () => {
  const [text, result] = await streamed(agent(), 'in pieces');
  assert.equal(text, 'This answer comes in pieces.');
  assert.equal(result.finalOutput, text);
  assert.ok(result.state.usage.outputTokens > 0);
}));

await test('three turns whose history is sent whole', () => byEach(async () => {
  let told = [];
  for (const [word, expected] of turns) {
    const asked = [...told, { role: 'user', content: word }];
    const result = await run(agent({ model: 'echo', instructions: 'be brief' }), asked);
    assert.equal(result.finalOutput, `be brief${expected}`);
    told = result.history;
  }
}));

await test('three turns that the server remembers', async () => {
  const conversation = await client.conversations.create();
  let previousResponseId;
  for (const [word, expected] of turns) {
    const inside = await run(agent({ model: 'echo' }), word, { conversationId: conversation.id });
    const after = await run(agent({ model: 'echo' }), word, { previousResponseId });
    previousResponseId = after.lastResponseId;
    assert.deepEqual([inside.finalOutput, after.finalOutput], [expected, expected]);
  }
});

await test('a session remembers in the client', () => byEach(async () => {
  const session = new MemorySession();
  for (const [word, expected] of turns) {
    assert.equal((await run(agent({ model: 'echo' }), word, { session })).finalOutput, expected);
  }
}));

await test('a session remembers in the server', async () => {
  const session = new OpenAIConversationsSession({ client });
  for (const [word, expected] of turns) {
    assert.equal((await run(agent({ model: 'echo' }), word, { session })).finalOutput, expected);
  }
  assert.equal((await session.getItems()).length, 6);
  assert.equal((await session.popItem()).role, 'assistant');
  assert.equal((await session.getItems()).length, 5);
  await session.clearSession();
});

await test('functions are called in parallel and their results are used', () => byEach(async () => {
  const result = await run(agent({ tools: [weather] }), 'the weather in both cities');
  assert.equal(result.finalOutput, 'Both are known; the last is sunny in Rome.');
  assert.equal(result.state.usage.requests, 2);
  assert.deepEqual(await remembered(result), inOslo);
}));

await test('functions are called in a stream by a model that reasons between', () => byEach(async () => {
  const [, result] = await streamed(agent({ tools: [weather] }), 'the weather, one after the other');
  assert.equal(result.finalOutput, 'The last is sunny in Rome.');
  assert.deepEqual(await remembered(result), inOslo);
}));

await test('functions are called in what the server remembers', async () => {
  const session = new OpenAIConversationsSession({ client });
  const conversationId = (await client.conversations.create()).id;
  for (const where of [{ session }, { conversationId }]) {
    const result = await run(agent({ tools: [weather] }), 'the weather, one after the other', where);
    assert.equal(result.finalOutput, 'The last is sunny in Rome.');
    const again = await run(agent({ model: 'echo' }), 'and?', where);
    assert.deepEqual(toolsSaid(again.finalOutput), inOslo);
  }
});

await test('an answer of a given shape', () => byEach(async () => {
  const result = await run(agent({ outputType: Person }), 'a person as JSON');
  assert.deepEqual(result.finalOutput, { name: 'Ann', age: 31 });
}));

await test('tools of the registry', async () => {
  const tools = [hostedMcpTool({ serverLabel: 'registry' })];
  assert.equal((await run(agent({ tools }), 'double twice')).finalOutput, 'It is 8.');
  const [, live] = await streamed(agent({ tools }), 'double twice');
  assert.equal(live.finalOutput, 'It is 8.');
  const [, mixed] = await streamed(agent({ tools: [...tools, weather] }), 'double and weather');
  assert.equal(mixed.finalOutput, 'Both are known; the last is sunny in Oslo.');
});

await test('what a tool of the registry said is known to the server', async () => {
  const result = await run(agent({ tools: [hostedMcpTool({ serverLabel: 'registry' })] }), 'double twice');
  assert.deepEqual(await remembered(result), ['42', '8']);
});

await test('a tool of the registry that a callback approves or refuses', async () => {
  for (const approve of [true, false]) {
    const onApproval = async () => ({ approve });
    const tools = [hostedMcpTool({ serverLabel: 'registry', requireApproval: 'always', onApproval })];
    const result = await run(agent({ tools }), 'double it');
    assert.equal(result.finalOutput === 'It is 42.', approve);
    assert.match(result.finalOutput, /^It is /);
  }
});

await test('a tool of the registry that somebody approves later', async () => {
  const tools = [hostedMcpTool({ serverLabel: 'registry', requireApproval: 'always' })];
  const helper = agent({ tools });
  const asking = await run(helper, 'double it');
  assert.equal(asking.interruptions.length, 1);
  asking.state.approve(asking.interruptions[0]);
  assert.equal((await run(helper, asking.state)).finalOutput, 'It is 42.');
});

await test('code is run in the sandbox', async () => {
  const modelSettings = { providerData: { include: ['code_interpreter_call.outputs'] } };
  const helper = agent({ tools: [codeInterpreterTool()], modelSettings });
  const result = await run(helper, 'What is 1234 * 5678?');
  assert.equal(result.finalOutput, 'It is 7006652.');
  assert.deepEqual(await remembered(result), ['7006652']);
  const [text, live] = await streamed(helper, 'What is 1234 * 5678?');
  assert.equal(text, 'Let me see.It is 7006652.');
  assert.deepEqual(await remembered(live), ['7006652']);
});

await test('code whose output was not asked for is known to the server', async () => {
  const result = await run(agent({ tools: [codeInterpreterTool()] }), 'What is 1234 * 5678?');
  assert.deepEqual(await remembered(result), ['7006652']);
});

// To a session in the server the SDK sends calls without what they gave back, and without their ids.
const LOST = ['(the output was not kept)'];

await test('a session in the server remembers that the registry was called', async () => {
  const session = new OpenAIConversationsSession({ client });
  await run(agent({ tools: [hostedMcpTool({ serverLabel: 'registry' })] }), 'double it', { session });
  assert.deepEqual(toolsSaid((await run(agent({ model: 'echo' }), 'and?', { session })).finalOutput), LOST);
});

await test('a session in the server remembers that code was run', async () => {
  const session = new OpenAIConversationsSession({ client });
  await run(agent({ tools: [codeInterpreterTool()] }), 'What is 1234 * 5678?', { session });
  assert.deepEqual(toolsSaid((await run(agent({ model: 'echo' }), 'and?', { session })).finalOutput), LOST);
});

await test('reasoning is shown and counted', async () => {
  const result = await run(agent({ modelSettings: { reasoning: { effort: 'low', summary: 'auto' } } }), 'think');
  assert.deepEqual(result.newItems.map((item) => item.type), ['reasoning_item', 'message_output_item']);
  assert.equal(result.newItems[0].rawItem.content[0].text, 'Hm, let me see.');
  assert.deepEqual([result.state.usage.inputTokens, result.state.usage.outputTokens], [9, 20]);
  assert.deepEqual(await remembered(result), ['']);
});

await test('a stream is aborted in its midst', () => byEach(async () => {
  const abort = new AbortController();
  const result = await run(agent(), 'endless', { stream: true, signal: abort.signal });
  let text = '';
  for await (const piece of result.toTextStream()) {
    text += piece;
    abort.abort();
  }
  assert.equal(text, 'one ');
}));

await test('an unknown model is a typed error', () => byEach(async () => {
  await assert.rejects(run(agent({ model: 'nonsense' }), 'hello'), NotFoundError);
}));

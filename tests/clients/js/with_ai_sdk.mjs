/** Vercel's AI SDK, by the Responses API (its own way) and by chat completions. */

import assert from 'node:assert/strict';
import { createOpenAI } from '@ai-sdk/openai';
import { APICallError, Output, generateText, stepCountIs, streamText, tool } from 'ai';
import { z } from 'zod';
import { all, key, test, toolsSaid, turns, url } from './cases.mjs';

globalThis.AI_SDK_LOG_WARNINGS = false;
const openai = createOpenAI({ baseURL: url, apiKey: key });
const apis = { responses: openai.responses, chat: openai.chat };
const Person = z.object({ name: z.string(), age: z.number() });
const weather = tool({
  description: 'The weather in a city',
  inputSchema: z.object({ city: z.string() }),
  execute: async ({ city }) => `sunny in ${city}`,
});
const registry = (more = {}) => openai.tools.mcp({ serverLabel: 'registry', serverUrl: 'paddock:registry', ...more });
const inOslo = ['sunny in Oslo', 'sunny in Rome'];
const user = (content) => ({ role: 'user', content });

const common = { maxRetries: 0, stopWhen: stepCountIs(5) };
const generated = (api, more) => generateText({ model: api('scripted'), ...common, ...more });

/** What generateText gives, put together from a stream. */
async function streamed(api, more) {
  const result = streamText({ model: api('scripted'), ...common, onError() {}, ...more });
  const parts = await all(result.fullStream);
  const failed = parts.find((part) => part.type === 'error');
  if (failed) throw failed.error;
  const output = more.output && (await result.output);
  const { text, content, responseMessages, totalUsage } = result;
  const promised = await Promise.all([text, content, responseMessages, totalUsage]);
  return { parts, output, text: promised[0], content: promised[1], responseMessages: promised[2], totalUsage: promised[3] };
}

/** What the tools said, as the model is told in the turn that follows. */
async function remembered(api, said, result, providerOptions) {
  const messages = [user(said), ...result.responseMessages, user('and?')];
  const again = await generateText({ model: api('echo'), ...common, messages, providerOptions });
  return toolsSaid(again.text);
}

await test('a text answer with its usage', async () => {
  for (const api of Object.values(apis)) {
    const result = await generated(api, { prompt: 'hello' });
    assert.deepEqual([result.text, result.finishReason], ['You said: hello', 'stop']);
    const { inputTokens, outputTokens, totalTokens } = result.usage;
    assert.ok(inputTokens > 0 && outputTokens > 0);
    assert.equal(totalTokens, inputTokens + outputTokens);
  }
});

await test('a text answer is streamed', async () => {
  for (const api of Object.values(apis)) {
    const result = await streamed(api, { prompt: 'in pieces' });
    assert.equal(result.text, 'This answer comes in pieces.');
    assert.ok(result.parts.filter((part) => part.type === 'text-delta').length > 1);
    assert.ok(result.totalUsage.outputTokens > 0);
  }
});

await test('three turns whose history is sent whole, stored or not', async () => {
  for (const api of Object.values(apis)) {
    for (const store of [true, false]) {
      const messages = [];
      for (const [word, expected] of turns) {
        messages.push(user(word));
        const result = await generated(api, { model: api('echo'), messages, providerOptions: { openai: { store } } });
        assert.equal(result.text, expected);
        messages.push(...result.responseMessages);
      }
    }
  }
});

await test('three turns by the previous response', async () => {
  let previousResponseId;
  for (const [word, expected] of turns) {
    const providerOptions = { openai: { previousResponseId } };
    const result = await generated(openai, { model: openai('echo'), prompt: word, providerOptions });
    assert.equal(result.text, expected);
    previousResponseId = result.providerMetadata.openai.responseId;
  }
});

await test('functions are called and their results are used, stored or not', async () => {
  const tools = { weather };
  for (const api of Object.values(apis)) {
    for (const ask of [generated, streamed]) {
      for (const store of [true, false]) {
        for (const [prompt, expected] of [
          ['the weather in both cities', 'Both are known; the last is sunny in Rome.'],
          ['the weather, one after the other', 'The last is sunny in Rome.'],
        ]) {
          const providerOptions = { openai: { store } };
          const result = await ask(api, { tools, prompt, providerOptions });
          assert.equal(result.text, expected);
          assert.deepEqual(await remembered(api, prompt, result, providerOptions), inOslo);
        }
      }
    }
  }
});

await test('an answer of a given shape', async () => {
  for (const api of Object.values(apis)) {
    for (const ask of [generated, streamed]) {
      const result = await ask(api, { prompt: 'a person as JSON', output: Output.object({ schema: Person }) });
      assert.deepEqual(result.output, { name: 'Ann', age: 31 });
    }
  }
});

await test('tools of the registry, stored or not', async () => {
  for (const ask of [generated, streamed]) {
    for (const store of [true, false]) {
      const providerOptions = { openai: { store } };
      const prompt = 'double twice';
      const result = await ask(openai, { prompt, tools: { mcp: registry() }, providerOptions });
      assert.equal(result.text, 'It is 8.');
      const results = result.content.filter((part) => part.type === 'tool-result').map((part) => part.output);
      assert.deepEqual(results.map((each) => [each.name, each.output]).sort(), [['double', '42'], ['double', '8']]);
      if (!store) continue; // then it sends no results of the provider's tools back
      assert.deepEqual(await remembered(openai, prompt, result, providerOptions), ['42', '8']);
    }
  }
});

await test('a tool of the registry that is approved or refused', async () => {
  const tools = { mcp: registry({ requireApproval: 'always' }) };
  for (const ask of [generated, streamed]) {
    for (const approved of [true, false]) {
      const messages = [user('double it')];
      const asking = await ask(openai, { messages, tools });
      const [request] = asking.content.filter((part) => part.type === 'tool-approval-request');
      const { approvalId, toolCall } = request;
      const answer = { type: 'tool-approval-response', approvalId, approved, providerExecuted: toolCall.providerExecuted };
      messages.push(...asking.responseMessages, { role: 'tool', content: [answer] });
      const done = await ask(openai, { messages, tools });
      assert.equal(done.text.endsWith('It is 42.'), approved);
      assert.match(done.text, /It is /);
    }
  }
});

await test('code is run in the sandbox', async () => {
  const tools = { code_interpreter: openai.tools.codeInterpreter() };
  const prompt = 'What is 1234 * 5678?';
  for (const ask of [generated, streamed]) {
    const result = await ask(openai, { prompt, tools });
    assert.match(result.text, /It is 7006652\.$/);
    const [returned] = result.content.filter((part) => part.type === 'tool-result');
    assert.deepEqual(returned.output.outputs, [{ type: 'logs', logs: '7006652' }]);
    assert.deepEqual(await remembered(openai, prompt, result), ['7006652']);
  }
});

await test('reasoning is shown and counted', async () => {
  const providerOptions = { openai: { reasoningEffort: 'low', reasoningSummary: 'auto' } };
  for (const ask of [generated, streamed]) {
    const result = await ask(openai, { model: openai('gpt-5-mini'), prompt: 'think', providerOptions });
    const [thought] = result.content.filter((part) => part.type === 'reasoning');
    assert.equal(thought.text, 'Hm, let me see.');
    const { inputTokens, inputTokenDetails, outputTokens, outputTokenDetails } = result.totalUsage;
    assert.deepEqual([inputTokens, inputTokenDetails.cacheReadTokens], [9, 4]);
    assert.deepEqual([outputTokens, outputTokenDetails.reasoningTokens], [20, 11]);
    assert.deepEqual(await remembered(openai, 'think', result), ['']);
  }
});

await test('a stream is aborted in its midst', async () => {
  for (const api of Object.values(apis)) {
    const abort = new AbortController();
    const result = streamText({ model: api('scripted'), ...common, prompt: 'endless', abortSignal: abort.signal, onError() {} });
    const types = [];
    for await (const part of result.fullStream) {
      types.push(part.type);
      if (part.type === 'text-delta') abort.abort();
    }
    assert.equal(types.at(-1), 'abort');
  }
});

await test('an unknown model is a typed error', async () => {
  for (const api of Object.values(apis)) {
    await assert.rejects(generated(api, { model: api('nonsense'), prompt: 'hello' }), (error) => {
      assert.ok(APICallError.isInstance(error));
      assert.deepEqual([error.statusCode, error.data.error.code], [404, 'model_not_found']);
      return true;
    });
  }
});

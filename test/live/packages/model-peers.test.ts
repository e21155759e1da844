/** The server package with the oldest and the newest libraries of model providers that its manifest allows, each in an empty folder. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { ModelKind } from '../../../backends/models/open-model.ts';
import { anthropicStep } from '../../support/anthropic-wire.ts';
import { bedrockStep } from '../../support/bedrock-wire.ts';
import { googleStep } from '../../support/google-wire.ts';
import { mistralStep } from '../../support/mistral-wire.ts';
import type { Scenario } from '../../support/model-contract.ts';
import { buildPackages, installPackages, type BuiltPackages } from '../../support/packages.ts';
import { responsesStep } from '../../support/responses-wire.ts';
import { scriptedHttp, type Step } from '../../support/scripted-http.ts';

const WIRES: Record<Exclude<ModelKind, 'openai-compatible'>, (scenario: Scenario) => Step> = {
  'openai-responses': responsesStep,
  anthropic: anthropicStep,
  google: googleStep,
  mistral: mistralStep,
  bedrock: bedrockStep,
};

const CALLED: Scenario = {
  kind: 'calls',
  calls: [{ name: 'get_weather', pieces: ['{"city":', '"Paris"}'] }],
  signature: 'c2lnbmF0dXJl',
};

let built: BuiltPackages;
beforeAll(async () => {
  built = await buildPackages();
}, 180_000);
afterAll(() => built.remove());

/** `^3.0.141` names 3.0.141 as its oldest; its newest is what npm takes for the range. */
const librariesAt = (end: 'oldest' | 'newest'): string[] => {
  const manifest = JSON.parse(readFileSync(join(built.folders.server, 'package.json'), 'utf8')) as {
    peerDependencies: Record<string, string>;
  };
  const libraries = Object.entries(manifest.peerDependencies).filter(([name]) => name.startsWith('@ai-sdk/'));
  expect(libraries).toHaveLength(Object.keys(WIRES).length);
  return libraries.map(([name, range]) => `${name}@${end === 'oldest' ? range.replace(/^\^/, '') : range}`);
};

test.each(['oldest', 'newest'] as const)(
  'every native kind has a turn with calls by its %s library',
  { timeout: 300_000 },
  async (end) => {
    const server = await scriptedHttp();
    const { client, server: serverPackage } = built.tarballs;
    const program = await installPackages([client, serverPackage, ...librariesAt(end)]);
    try {
      const opener = join(
        program.folder,
        'node_modules/durable-runs-server/dist/backends/models/open-model.js',
      );
      const script = `
        import { openModel } from ${JSON.stringify(opener)};
        const request = {
          model: 'model-a', messages: [{ role: 'user', content: [{ type: 'text', text: 'Weather?' }] }],
          tools: [{ type: 'function', function: { name: 'get_weather' } }], toolChoice: null,
          parallelToolCalls: true, responseFormat: null, temperature: null, topP: null, reasoningEffort: null,
          maxOutputTokens: null, capabilities: { images: null, jsonSchema: null, tools: null },
        };
        const model = await openModel(process.env.KIND, { baseUrl: process.env.URL_OF_MODEL, apiKey: 'key-1' });
        const calls = [];
        const controls = { signal: new AbortController().signal, deadline: null };
        for await (const parts of model.turn(request, controls))
          for (const part of parts)
            if (part.kind === 'call') calls.push([part.name, part.arguments]);
            else if (part.kind === 'finish') calls.push(part.reason);
        console.log(JSON.stringify(calls));
        await model.dispose();`;
      const told: [string, string][] = [];
      for (const [kind, stepOf] of Object.entries(WIRES)) {
        server.script.push(stepOf(CALLED));
        told.push([kind, await program.node(script, { KIND: kind, URL_OF_MODEL: `${server.url}/v1` })]);
      }
      const whole = '[["get_weather","{\\"city\\":\\"Paris\\"}"],"tool_calls"]';
      expect(told).toEqual(Object.keys(WIRES).map((kind) => [kind, whole]));
    } finally {
      await program.remove();
      await server.close();
    }
  },
);

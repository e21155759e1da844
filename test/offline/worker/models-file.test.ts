/** The file that RUNS_MODELS names: read, refused with place and fix, and described by a JSON Schema that agrees. */
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Ajv2020 } from 'ajv/dist/2020.js';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { currentModelsSchema, MODELS_SCHEMA_FILE } from '../../../scripts/models-schema.ts';
import { textOf } from '../../support/sources.ts';
import { resolveModel } from '../../../protocol/rules/resolve-model.ts';
import { loadModelsFile, parseModels } from '../../../worker/models/models-file.ts';
import { modelsFileSchema } from '../../../worker/models/models-schema.ts';

const NEAR = { kind: 'openai-compatible', base_url: 'http://127.0.0.1:11434/v1' };
const FAST = { provider: 'near', model: 'qwen2.5:3b' };

const problemsOf = async (file: unknown): Promise<string> => {
  const parsed = await parseModels(typeof file === 'string' ? file : JSON.stringify(file));
  return 'problems' in parsed ? parsed.problems.join('\n') : '';
};

test('a file in YAML and the same in JSON are one configuration, with every default filled in', async () => {
  const yaml = `
providers:
  near:
    kind: openai-compatible
    base_url: http://127.0.0.1:11434/v1/
    headers: { X-Team: shop }
    limits: { requests_per_minute: 60 }
models:
  fast:
    provider: near
    model: qwen2.5:3b
    price: { currency: USD, input: 0.15, output: 0.6 }
    capabilities: { images: false }
`;
  const json = {
    providers: {
      near: {
        ...NEAR,
        base_url: `${NEAR.base_url}/`,
        headers: { 'X-Team': 'shop' },
        limits: { requests_per_minute: 60 },
      },
    },
    models: {
      fast: {
        ...FAST,
        price: { currency: 'USD', input: 0.15, output: 0.6 },
        capabilities: { images: false },
      },
    },
  };
  const read = await parseModels(yaml);
  expect(read).toEqual(await parseModels(JSON.stringify(json)));
  if ('problems' in read) throw new Error(read.problems.join());
  expect(read.config.providers.get('near')).toMatchObject({
    baseUrl: NEAR.base_url,
    headers: new Map([['x-team', 'shop']]),
    limits: { requestsPerMinute: 60, tokensPerMinute: null, concurrency: null },
    unlistedModels: true,
    contextTokens: null,
  });
  expect(resolveModel(read.config, 'fast', 'shop')).toMatchObject({
    model: {
      price: { currency: 'USD', input: 0.15, cachedInput: null, output: 0.6 },
      capabilities: { images: false, jsonSchema: null, tools: null },
      dropProviderData: true,
    },
  });
});

describe('a file that can not be used is refused with its place and the fix:', () => {
  test.each([
    ['{', 'it is neither YAML nor JSON'],
    ['', 'the file: invalid input'],
    ['providers: {near: {kind: mistral}, near: {kind: google}}', 'keys must be unique'],
    [{ providers: {} }, 'providers must have at least one provider'],
    [{ providers: { near: NEAR }, provider: 1 }, 'the file has no setting "provider"'],
    [{ providers: { near: { ...NEAR, api_key: 'k' } } }, 'providers.near has no setting "api_key"'],
    [
      { providers: { near: { ...NEAR, api_key_env: 'sk-123' } } },
      'providers.near.api_key_env: must be the name of an environment variable, not a key',
    ],
    [{ providers: { near: { ...NEAR, kind: 'open' } } }, 'providers.near.kind: invalid'],
    [{ providers: { 'a/b': NEAR } }, 'providers.a/b: the name must be 1 to 64 letters'],
    [{ providers: { near: { kind: 'openai-compatible' } } }, 'providers.near.base_url is needed'],
    [
      { providers: { near: { ...NEAR, base_url: 'ftp://x' } } },
      'providers.near.base_url must be a URL that begins with "http://" or "https://"',
    ],
    [
      { providers: { near: { ...NEAR, base_url: 'http://u:canary@x/v1' } } },
      'must not hold a user or password',
    ],
    [{ providers: { near: { ...NEAR, headers: { Host: 'canary' } } } }, 'must not set "host"'],
    [{ providers: { near: { ...NEAR, headers: { x: 'canary\n' } } } }, 'visible ASCII'],
    [
      { providers: { near: { ...NEAR, body: { stream: false } } } },
      'providers.near.body must not set "stream", which each turn sets. To fix it, set stream of the provider',
    ],
    [{ providers: { near: { ...NEAR, limits: { concurrency: 0 } } } }, 'providers.near.limits.concurrency'],
    [
      { providers: { near: NEAR }, models: { fast: { ...FAST, provider: 'far' } } },
      'models.fast.provider must be one of providers: "near"; got "far"',
    ],
    [
      { providers: { near: NEAR }, models: { 'near/fast': FAST } },
      'must not be called "near/fast", which is a model of the provider "near"',
    ],
    [
      { providers: { near: NEAR }, models: { fast: FAST, slow: { ...FAST, aliases: ['fast'] } } },
      'models.slow: the name "fast" belongs to models.fast already',
    ],
    [
      { providers: { near: NEAR }, models: { fast: { ...FAST, fallbacks: ['far/x'] } } },
      'models.fast.fallbacks names "far/x", which is no model of this file',
    ],
    [
      { providers: { near: NEAR }, models: { fast: { ...FAST, fallbacks: ['fast'] } } },
      'models.fast.fallbacks names the model itself',
    ],
    [
      { providers: { near: NEAR }, models: { fast: { ...FAST, capabilities: { audio: true } } } },
      'models.fast.capabilities has no setting "audio"',
    ],
    [
      { providers: { near: NEAR }, models: { fast: { ...FAST, capabilities: { tools: 'yes' } } } },
      'models.fast.capabilities.tools: invalid input',
    ],
    [
      {
        providers: { near: NEAR },
        models: {
          fast: { ...FAST, capabilities: { images: true, tools: true } },
          slow: { ...FAST, capabilities: { images: true, tools: false } },
        },
      },
      'models.slow.capabilities.tools is false, and models.fast says true of the same model',
    ],
    [
      {
        providers: { near: { ...NEAR, body: { response_format: { type: 'json_object' } } } },
        models: { fast: { ...FAST, capabilities: { json_schema: false } } },
      },
      'models.fast.capabilities.json_schema is false, and providers.near.body sends "response_format" with every request',
    ],
    [
      {
        providers: { near: { ...NEAR, body: { tool_choice: 'required' } } },
        models: { fast: { ...FAST, capabilities: { tools: false } } },
      },
      'models.fast.capabilities.tools is false, and providers.near.body sends "tool_choice"',
    ],
    [
      { providers: { near: NEAR }, budgets: { shop: { tokens_per_week: 1 } } },
      'budgets.shop has no setting "tokens_per_week"',
    ],
    [{ providers: { near: NEAR }, budgets: { 'a b': {} } }, 'must be a tenant of RUNS_API_KEYS'],
    [
      { providers: { near: NEAR }, budgets: { shop: { cost_per_day: { USD: 20 } } } },
      'budgets.shop.cost_per_day.USD: invalid input',
    ],
    [
      { providers: { near: NEAR }, budgets: { shop: { cost_per_day: { USD: 'much' } } } },
      'must be a decimal amount in quotes, such as "20.50"',
    ],
    [
      { providers: { near: NEAR }, models: { fast: FAST }, budgets: { '*': { cost_per_run: { EUR: '1' } } } },
      'budgets.* limits costs in "EUR", and no model has a price in it',
    ],
    [{ providers: { near: NEAR }, default: 'fast' }, 'default names "fast", which is no model of this file'],
    [
      { providers: { near: NEAR }, tenants: { shop: { models: ['far/*'] } } },
      'tenants.shop.models names "far/*"',
    ],
    [{ providers: { near: NEAR }, tenants: { 'a b': { models: [] } } }, 'must be a tenant of RUNS_API_KEYS'],
    [
      {
        providers: { near: NEAR },
        models: { fast: { ...FAST, price: { currency: 'usd', input: 1, output: 1 } } },
      },
      'models.fast.price.currency: must be three capital letters',
    ],
  ])('%j', async (file, words) => {
    const problems = await problemsOf(file);
    expect(problems.toLowerCase()).toContain(words.toLowerCase());
    expect(problems).not.toContain('canary');
  });

  test('with budgets, when RUNS_BUDGETS is set, too; a file without any has those of the variable', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'models-file-'));
    const budget = { tokensPerRun: 1, tokensPerDay: null, costPerRun: null, costPerDay: null };
    const beside = { cwd: folder, budgets: new Map([['shop', budget]]) };
    const file = { providers: { near: NEAR } };
    const own = { ...file, budgets: { shop: { tokens_per_day: 5 }, '*': { tokens_per_run: 9 } } };
    writeFileSync(join(folder, 'without.json'), JSON.stringify(file));
    writeFileSync(join(folder, 'with.json'), JSON.stringify(own));
    expect((await loadModelsFile('without.json', beside)).budgets).toEqual(beside.budgets);
    expect((await loadModelsFile('with.json', { cwd: folder })).budgets).toEqual(
      new Map([
        ['shop', { ...budget, tokensPerRun: null, tokensPerDay: 5 }],
        ['*', { ...budget, tokensPerRun: 9 }],
      ]),
    );
    await expect(loadModelsFile('with.json', beside)).rejects.toThrow(
      'budgets is in the file, and RUNS_BUDGETS is set, too. Keep one of them',
    );
  });

  test('with its path, when it is not there or wrong', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'models-file-'));
    await expect(loadModelsFile('absent.yaml', { cwd: folder })).rejects.toThrow(
      /RUNS_MODELS="absent.yaml" can't be used: there is no readable file/,
    );
    writeFileSync(join(folder, 'wrong.yaml'), 'providers: 1');
    await expect(loadModelsFile('wrong.yaml', { cwd: folder })).rejects.toThrow(
      /RUNS_MODELS="wrong.yaml" can't be used: providers: invalid input/,
    );
  });
});

test('a model may have any name, and its name changes nothing for others', async () => {
  await fc.assert(
    fc.asyncProperty(fc.string({ unit: 'grapheme', minLength: 1, maxLength: 40 }), async (name) => {
      fc.pre(!name.startsWith('near/') && name !== 'other' && name !== '__proto__');
      const models = Object.fromEntries([
        [name, FAST],
        ['other', { ...FAST, model: 'other' }],
      ]);
      const parsed = await parseModels(JSON.stringify({ providers: { near: NEAR }, models }));
      if ('problems' in parsed) throw new Error(parsed.problems.join());
      expect(resolveModel(parsed.config, name, 'shop')).toMatchObject({ model: { model: FAST.model } });
      expect(resolveModel(parsed.config, 'other', 'shop')).toMatchObject({ model: { model: 'other' } });
    }),
  );
});

describe('the JSON Schema', () => {
  test('is the one that the server uses: run `npm run docs:models`', () => {
    expect(textOf(MODELS_SCHEMA_FILE)).toBe(currentModelsSchema());
  });

  test.each([
    [{ providers: { near: NEAR }, models: { fast: FAST } }, true],
    [{ providers: { near: { ...NEAR, limits: { concurrency: 0 } } } }, false],
    [{ providers: { near: NEAR }, models: { fast: { ...FAST, prise: {} } } }, false],
    [{ models: { fast: FAST } }, false],
  ])('accepts and refuses what the server does: %j', (file, fits) => {
    const check = new Ajv2020({ strict: false }).compile(JSON.parse(currentModelsSchema()));
    expect(check(file)).toBe(fits);
    expect(modelsFileSchema.safeParse(file).success).toBe(fits);
  });
});

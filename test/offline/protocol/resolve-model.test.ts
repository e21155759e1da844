/** Which model a name stands for, for whom, and who answers in its place. */
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  plainProvider,
  type ConfiguredModel,
  type ModelProvider,
  type ModelsConfig,
} from '../../../protocol/models.ts';
import {
  isModelKnown,
  listModels,
  resolveModel,
  UNKNOWN_CAPABILITIES,
} from '../../../protocol/rules/resolve-model.ts';

const provider = (name: string, more: Partial<ModelProvider> = {}): ModelProvider => ({
  ...plainProvider(name, 'openai-compatible'),
  baseUrl: 'http://127.0.0.1:9/v1',
  ...more,
});

const entry = (
  name: string,
  of: string,
  model: string,
  more: Partial<ConfiguredModel> = {},
): ConfiguredModel => ({
  name,
  provider: of,
  model,
  aliases: [],
  contextTokens: null,
  price: null,
  capabilities: UNKNOWN_CAPABILITIES,
  fallbacks: [],
  dropProviderData: true,
  ...more,
});

const configOf = (
  providers: readonly ModelProvider[],
  models: readonly ConfiguredModel[],
  more: Partial<ModelsConfig> = {},
): ModelsConfig => ({
  providers: new Map(providers.map((one) => [one.name, one])),
  models: new Map(models.map((one) => [one.name, one])),
  default: null,
  tenants: new Map(),
  replacement: null,
  budgets: new Map(),
  onlyProvider: null,
  ...more,
});

const TWO = configOf(
  [provider('near', { contextTokens: 8_000 }), provider('far', { unlistedModels: false })],
  [
    entry('fast', 'near', 'qwen2.5:3b', { aliases: ['gpt-4o-mini'], fallbacks: ['smart', 'near/tiny'] }),
    entry('smart', 'far', 'org/model', { contextTokens: 128_000, fallbacks: ['fast'] }),
  ],
);

/** Provider and model that answer first, and those that answer in their place. */
const answer = (config: ModelsConfig, name: string, tenant = 'shop') => {
  const found = resolveModel(config, name, tenant);
  return found.kind === 'resolved' ? [found.model.id, ...found.fallbacks.map(({ id }) => id)] : found.kind;
};

describe('a name', () => {
  test.each([
    ['fast', ['near/qwen2.5:3b', 'far/org/model', 'near/tiny']],
    ['gpt-4o-mini', ['near/qwen2.5:3b', 'far/org/model', 'near/tiny']],
    ['near/qwen2.5:3b', ['near/qwen2.5:3b', 'far/org/model', 'near/tiny']],
    ['far/org/model', ['far/org/model', 'near/qwen2.5:3b']],
    ['near/other/with/slashes', ['near/other/with/slashes']],
    ['far/unlisted', 'unknown'],
    ['elsewhere/model', 'unknown'],
    ['near', 'unknown'],
    ['near/', 'unknown'],
    ['/near', 'unknown'],
    ['/', 'unknown'],
    ['Fast', 'unknown'],
    ['__proto__', 'unknown'],
    ['constructor', 'unknown'],
  ])('%j stands for %j', (name, expected) => {
    expect(answer(TWO, name)).toEqual(expected);
    expect(isModelKnown(TWO, name)).toBe(expected !== 'unknown');
  });

  test('that is unknown comes back as it was asked, whatever it holds', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (name) => {
        fc.pre(
          !name.startsWith('near/') && !['fast', 'smart', 'gpt-4o-mini', 'far/org/model'].includes(name),
        );
        expect(resolveModel(TWO, name, 'shop')).toEqual({ kind: 'unknown', name });
      }),
    );
  });

  test('is cut at the first slash and nowhere else', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', minLength: 1 }), (rest) => {
        fc.pre(rest !== 'qwen2.5:3b');
        const found = resolveModel(TWO, `near/${rest}`, 'shop');
        expect(found).toMatchObject({ kind: 'resolved', model: { provider: 'near', model: rest } });
      }),
    );
  });

  test('gets the window of its entry, else the one of its provider', () => {
    expect(resolveModel(TWO, 'fast', 'shop')).toMatchObject({ model: { contextTokens: 8_000 } });
    expect(resolveModel(TWO, 'smart', 'shop')).toMatchObject({ model: { contextTokens: 128_000 } });
  });

  test('goes to the only provider as it is, slashes and names of others included', () => {
    const only = configOf([provider('')], [], { onlyProvider: '' });
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', minLength: 1 }), (name) => {
        expect(resolveModel(only, name, 'shop')).toMatchObject({
          model: { id: name, model: name, provider: '' },
          fallbacks: [],
        });
      }),
    );
  });

  test('is replaced before it is looked up', () => {
    expect(answer({ ...TWO, replacement: 'smart' }, 'nothing of ours')).toEqual([
      'far/org/model',
      'near/qwen2.5:3b',
    ]);
  });
});

const limited = (list: readonly string[], name = 'shop') => ({ ...TWO, tenants: new Map([[name, list]]) });

describe('a tenant', () => {
  test.each([
    [['fast'], 'fast', ['near/qwen2.5:3b']],
    [['gpt-4o-mini'], 'near/qwen2.5:3b', ['near/qwen2.5:3b']],
    [['near/*'], 'gpt-4o-mini', ['near/qwen2.5:3b', 'near/tiny']],
    [['far/org/model'], 'smart', ['far/org/model']],
    [['fast'], 'smart', 'forbidden'],
    [['fast'], 'near/other', 'forbidden'],
    [[], 'fast', 'forbidden'],
    [['fast'], 'elsewhere/model', 'unknown'],
  ])('with the list %j that asks for %j gets %j', (list, name, expected) => {
    expect(answer(limited(list), name)).toEqual(expected);
    expect(answer(limited(list, '*'), name)).toEqual(expected);
  });

  test('that has a list is not bound by the one of all others, and without any list may ask for all', () => {
    const config = {
      ...TWO,
      tenants: new Map([
        ['shop', ['smart']],
        ['*', ['fast']],
      ]),
    };
    expect(answer(config, 'smart', 'shop')).toEqual(['far/org/model']);
    expect(answer(config, 'smart', 'bank')).toBe('forbidden');
    expect(answer(limited(['fast']), 'smart', 'bank')).toEqual(['far/org/model', 'near/qwen2.5:3b']);
    expect(listModels(config, 'shop').map(({ name }) => name)).toEqual(['smart']);
  });
});

const names = fc.constantFrom('a', 'b', 'c', 'd', 'p/x', 'q/x', 'p/unlisted', 'q/unlisted', 'r/x');
const entries = fc.uniqueArray(
  fc.record({
    name: fc.constantFrom('a', 'b', 'c', 'd'),
    provider: fc.constantFrom('p', 'q'),
    model: fc.constantFrom('x', 'y'),
    fallbacks: fc.array(names, { maxLength: 5 }),
  }),
  { selector: ({ name }) => name },
);
const configs = fc
  .record({ entries, list: fc.option(fc.array(names, { maxLength: 4 })), unlisted: fc.boolean() })
  .map(({ entries: given, list, unlisted }) =>
    configOf(
      [provider('p'), provider('q', { unlistedModels: unlisted })],
      given.map((one) => entry(one.name, one.provider, one.model, { fallbacks: one.fallbacks })),
      { tenants: new Map(list === null ? [] : [['shop', list]]) },
    ),
  );

describe('whatever the configuration', () => {
  test('no model answers twice, and none that the tenant may not ask for itself', () => {
    fc.assert(
      fc.property(configs, names, (config, name) => {
        const found = resolveModel(config, name, 'shop');
        if (found.kind !== 'resolved') return;
        const speakers = [found.model, ...found.fallbacks];
        expect(new Set(speakers.map(({ id }) => id)).size).toBe(speakers.length);
        for (const speaker of speakers)
          expect(resolveModel(config, speaker.name, 'shop')).toMatchObject({ model: speaker });
      }),
    );
  });

  test('every listed model resolves to its own provider and model', () => {
    fc.assert(
      fc.property(configs, (config) => {
        for (const { name, provider: of, model } of listModels(config, 'shop'))
          expect(resolveModel(config, name, 'shop')).toMatchObject({ model: { name, provider: of, model } });
      }),
    );
  });

  test('a list only ever takes away', () => {
    fc.assert(
      fc.property(configs, names, (config, name) => {
        const free = answer({ ...config, tenants: new Map() }, name);
        const bound = answer(config, name);
        if (typeof bound === 'string') return;
        expect(free).toEqual(expect.arrayContaining(bound));
      }),
    );
  });
});

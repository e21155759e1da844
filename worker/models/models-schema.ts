/**
 * The schema of the file that RUNS_MODELS names, and its translation into `ModelsConfig`.
 *
 * Rule: unknown keys are refused, so that a misspelt one is not silently without effect; every problem names its place in the
 * file, and no header's value. `docs/reference/models.schema.json` is generated from here, for editors. Pure.
 * Imported by `models-file.ts`, by the script that writes the JSON Schema, and by tests.
 */
import { z } from 'zod';
import { LIMITS, textProblem } from '../../protocol/index.ts';
import { MODEL_KINDS } from '../../backends/models/open-model.ts';
import type { ConfiguredModel, ModelProvider, ModelsConfig } from '../../protocol/models.ts';
import type { Budget } from '../../protocol/rules/budget.ts';
import { CURRENCY, parseAmount } from '../../protocol/rules/cost.ts';
import { MAX_CONTEXT_TOKENS, MODEL_STREAMS, TOKENS_FIELDS } from '../model-settings.ts';

const positive = (maximum: number) => z.int().min(1).max(maximum);

const modelName = z
  .string()
  .min(1)
  .max(LIMITS.model)
  .refine((name) => textProblem(name) === undefined, 'must not hold U+0000 or half of a surrogate pair');
const providerName = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/, {
  error: 'must be 1 to 64 letters, digits, ".", "_" or "-", a letter or digit first',
});
const variableName = z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/, {
  error: 'must be the name of an environment variable, not a key',
});
const contextTokens = positive(MAX_CONTEXT_TOKENS).describe(
  'The window in tokens: a longer thread is cut before it is sent, where its run allows that',
);

const limits = z
  .strictObject({
    requests_per_minute: positive(10_000_000).optional(),
    tokens_per_minute: positive(10_000_000_000).optional().describe('Prompt and answer together'),
    concurrency: positive(1_000_000).optional().describe('Answers under way at a time'),
  })
  .describe('What all workers together ask of the provider at most; a turn above it waits');

const provider = z.strictObject({
  kind: z.enum(MODEL_KINDS).describe('The wire that the provider speaks'),
  base_url: z
    .string()
    .optional()
    .describe('Version path included; needed for openai-compatible, else the service of the kind'),
  api_key_env: variableName.optional().describe('The environment variable that holds the key'),
  api_version: z.string().min(1).max(64).optional(),
  headers: z
    .record(z.string(), z.string())
    .optional()
    .describe('Sent with every request; ${NAME} stands for an environment variable'),
  body: z.record(z.string(), z.unknown()).optional().describe('Fields of every request'),
  max_tokens_field: z.enum(TOKENS_FIELDS).optional(),
  roles_alternate: z.boolean().optional(),
  stream: z.enum(MODEL_STREAMS).optional(),
  context_tokens: contextTokens.optional(),
  limits: limits.optional(),
  proxy: z.string().optional().describe('URL of an HTTP proxy; ${NAME} stands for an environment variable'),
  unlisted_models: z
    .boolean()
    .optional()
    .describe('Whether provider/model may name models that are not in this file; default true'),
});

const cost = z.number().min(0).max(1_000_000_000);
const price = z
  .strictObject({
    currency: z.string().regex(CURRENCY, { error: 'must be three capital letters, such as "USD"' }),
    input: cost,
    cached_input: cost.optional().describe('Default: as input'),
    output: cost,
  })
  .describe('For a million tokens');

const capabilities = z
  .strictObject({
    images: z.boolean().optional(),
    json_schema: z.boolean().optional(),
    tools: z.boolean().optional(),
  })
  .describe('What the model can do; left out = not known, so it is asked');

const model = z.strictObject({
  provider: providerName,
  model: modelName.describe('As the provider calls it'),
  aliases: z.array(modelName).max(1_000).optional(),
  context_tokens: contextTokens.optional(),
  price: price.optional(),
  capabilities: capabilities.optional(),
  fallbacks: z
    .array(modelName)
    .max(16)
    .optional()
    .describe('Who answers, in order, when the provider is unavailable or its rate limit is reached'),
  drop_provider_data: z
    .boolean()
    .optional()
    .describe('false: a run in which this model has called tools gets no fallback; default true'),
});

const tenantName = z
  .string()
  .regex(/^(\*|[A-Za-z0-9_-]{1,64})$/, { error: 'must be a tenant of RUNS_API_KEYS, or "*"' });

const tokens = z.int().min(0).max(Number.MAX_SAFE_INTEGER);
const amounts = z.record(
  z.string().regex(CURRENCY, { error: 'must be three capital letters, such as "USD"' }),
  z
    .string()
    .refine((amount) => parseAmount(amount) !== null, 'must be a decimal amount in quotes, such as "20.50"'),
);
const budget = z.strictObject({
  tokens_per_run: tokens.optional(),
  tokens_per_day: tokens.optional(),
  cost_per_run: amounts.optional(),
  cost_per_day: amounts.optional(),
});

export const modelsFileSchema = z.strictObject({
  $schema: z.string().optional(),
  providers: z.record(providerName, provider),
  models: z.record(modelName, model).optional().describe('By the name that assistants ask for'),
  default: modelName.optional().describe('The model that the name "default" stands for'),
  tenants: z
    .record(tenantName, z.strictObject({ models: z.array(modelName).max(10_000) }))
    .optional()
    .describe('What a tenant may ask for: names, provider/model or provider/*; "*" is every other tenant'),
  budgets: z
    .record(tenantName, budget)
    .optional()
    .describe('What the runs of a tenant may use, in the place of RUNS_BUDGETS; "*" is every other tenant'),
});
export type ModelsFile = z.infer<typeof modelsFileSchema>;

type ProviderEntry = z.infer<typeof provider>;
type ModelFileEntry = z.infer<typeof model>;

const providerFrom = (name: string, entry: ProviderEntry): ModelProvider => ({
  name,
  kind: entry.kind,
  baseUrl: entry.base_url?.replace(/\/+$/, '') ?? null,
  apiKeyEnv: entry.api_key_env ?? null,
  apiVersion: entry.api_version ?? null,
  headers: new Map(
    Object.entries(entry.headers ?? {}).map(([header, value]) => [header.toLowerCase(), value]),
  ),
  body: entry.body ?? {},
  maxTokensField: entry.max_tokens_field ?? null,
  rolesAlternate: entry.roles_alternate ?? null,
  stream: entry.stream ?? null,
  limits: {
    requestsPerMinute: entry.limits?.requests_per_minute ?? null,
    tokensPerMinute: entry.limits?.tokens_per_minute ?? null,
    concurrency: entry.limits?.concurrency ?? null,
  },
  proxy: entry.proxy ?? null,
  unlistedModels: entry.unlisted_models ?? true,
  contextTokens: entry.context_tokens ?? null,
});

const modelFrom = (name: string, entry: ModelFileEntry): ConfiguredModel => ({
  name,
  provider: entry.provider,
  model: entry.model,
  aliases: entry.aliases ?? [],
  contextTokens: entry.context_tokens ?? null,
  price:
    entry.price === undefined
      ? null
      : {
          currency: entry.price.currency,
          input: entry.price.input,
          cachedInput: entry.price.cached_input ?? null,
          output: entry.price.output,
        },
  capabilities: {
    images: entry.capabilities?.images ?? null,
    jsonSchema: entry.capabilities?.json_schema ?? null,
    tools: entry.capabilities?.tools ?? null,
  },
  fallbacks: entry.fallbacks ?? [],
  dropProviderData: entry.drop_provider_data ?? true,
});

const budgetFrom = (entry: z.infer<typeof budget>): Budget => ({
  tokensPerRun: entry.tokens_per_run ?? null,
  tokensPerDay: entry.tokens_per_day ?? null,
  costPerRun: entry.cost_per_run ?? null,
  costPerDay: entry.cost_per_day ?? null,
});

/** Of a file that the schema accepts; what the entries say of each other is checked in `models-problems.ts`. */
export const modelsConfigFrom = (file: ModelsFile): ModelsConfig => ({
  providers: new Map(
    Object.entries(file.providers).map(([name, entry]) => [name, providerFrom(name, entry)]),
  ),
  models: new Map(Object.entries(file.models ?? {}).map(([name, entry]) => [name, modelFrom(name, entry)])),
  default: file.default ?? null,
  tenants: new Map(Object.entries(file.tenants ?? {}).map(([tenant, { models }]) => [tenant, models])),
  budgets: new Map(Object.entries(file.budgets ?? {}).map(([tenant, entry]) => [tenant, budgetFrom(entry)])),
  replacement: null,
  onlyProvider: null,
});

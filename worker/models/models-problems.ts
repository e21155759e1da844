/**
 * What is wrong with a configuration of models although its file fits the schema: entries that contradict each other.
 *
 * Rule: every name has one meaning, and no entry names what is not there. Each problem says its place and the fix; none shows a
 * header's value. Pure.
 * Imported by `models-file.ts` and tests.
 */
import type { ConfiguredModel, ModelProvider, ModelsConfig } from '../../protocol/models.ts';
import { isModelKnown, splitModelName } from '../../protocol/rules/resolve-model.ts';
import { quote } from '../../protocol/index.ts';
import { headerProblem, requestFieldProblem } from '../model-settings.ts';
import { variablesIn } from '../placeholders.ts';

const urlProblem = (at: string, url: string): string | null => {
  // A variable may stand for any part, so only a URL without variables can be judged here.
  if (variablesIn(url).length > 0) return null;
  if (!URL.canParse(url) || !['http:', 'https:'].includes(new URL(url).protocol))
    return `${at} must be a URL that begins with "http://" or "https://"`;
  const { username, password } = new URL(url);
  return username + password === ''
    ? null
    : `${at} must not hold a user or password; use \${NAME} for an environment variable`;
};

const providerProblems = (provider: ModelProvider): (string | null | undefined)[] => {
  const at = `providers.${provider.name}`;
  return [
    provider.baseUrl === null
      ? provider.kind === 'openai-compatible'
        ? `${at}.base_url is needed: the root of a chat-completions server, such as "http://127.0.0.1:11434/v1"`
        : null
      : urlProblem(`${at}.base_url`, provider.baseUrl),
    provider.proxy === null ? null : urlProblem(`${at}.proxy`, provider.proxy),
    ...[...provider.headers].map(([name, value]) => headerProblem(`${at}.headers`, name, value)),
    ...Object.keys(provider.body).map((name) => requestFieldProblem(`${at}.body`, name)),
  ];
};

const modelProblems = (config: ModelsConfig, model: ConfiguredModel): (string | null)[] => {
  const at = `models.${model.name}`;
  const unknown = model.fallbacks.find((name) => !isModelKnown(config, name));
  const taken = [model.name, ...model.aliases].find((name) => splitModelName(config, name) !== null);
  return [
    config.providers.has(model.provider)
      ? null
      : `${at}.provider must be one of providers: ${[...config.providers.keys()].map((name) => quote(name)).join(', ')}; got ${quote(model.provider)}`,
    taken === undefined
      ? null
      : `${at} must not be called ${quote(taken)}, which is a model of the provider ${quote(taken.slice(0, taken.indexOf('/')))}. Choose another name`,
    unknown === undefined
      ? null
      : `${at}.fallbacks names ${quote(unknown)}, which is no model of this file. Use a name of models, or provider/model`,
    model.fallbacks.includes(model.name) ? `${at}.fallbacks names the model itself. Leave it out` : null,
  ];
};

/** Names that two entries have. */
const repeatedNames = (config: ModelsConfig): string[] => {
  const seen = new Map<string, string>();
  const problems: string[] = [];
  for (const { name, aliases } of config.models.values())
    for (const one of [name, ...aliases]) {
      const other = seen.get(one);
      if (other === undefined) seen.set(one, name);
      else
        problems.push(
          `models.${name}: the name ${quote(one)} belongs to models.${other} already. A name has one model`,
        );
    }
  return problems;
};

/** With their names in the file. */
const CAPABILITIES = [
  ['images', 'images'],
  ['jsonSchema', 'json_schema'],
  ['tools', 'tools'],
] as const;

/** Entries of one provider's model that say yes and no of the same. */
const capabilityContradictions = ({ models }: ModelsConfig): string[] => {
  const entries = [...models.values()];
  return entries.flatMap((entry, at) =>
    entries
      .slice(0, at)
      .filter(({ provider, model }) => provider === entry.provider && model === entry.model)
      .flatMap((other) =>
        CAPABILITIES.flatMap(([key, name]) => {
          const [own, its] = [entry.capabilities[key], other.capabilities[key]];
          return own === null || its === null || own === its
            ? []
            : [
                `models.${entry.name}.capabilities.${name} is ${own}, and models.${other.name} says ${its} of the same model ${quote(entry.model)}. Say the same in both`,
              ];
        }),
      ),
  );
};

/** A field of every request that the model is said not to take. */
const bodyContradictions = ({ providers, models }: ModelsConfig): string[] =>
  [...models.values()].flatMap(({ name, provider, capabilities: { jsonSchema, tools } }) => {
    const body = providers.get(provider)?.body ?? {};
    const sent = (field: string, capability: string, value: boolean | null): string[] =>
      value === false && field in body
        ? [
            `models.${name}.capabilities.${capability} is false, and providers.${provider}.body sends ${quote(field)} with every request. Leave one of them out`,
          ]
        : [];
    return [
      ...sent('response_format', 'json_schema', jsonSchema),
      ...sent('tool_choice', 'tools', tools),
      ...sent('parallel_tool_calls', 'tools', tools),
    ];
  });

const tenantProblems = (config: ModelsConfig): (string | null)[] =>
  [...config.tenants].flatMap(([tenant, list]) =>
    list.map((item) =>
      isModelKnown(config, item) ||
      (item.endsWith('/*') && config.providers.has(item.slice(0, -2))) ||
      splitModelName(config, item) !== null
        ? null
        : `tenants.${tenant}.models names ${quote(item)}, which is no model of this file. Use a name of models, provider/model or provider/*`,
    ),
  );

/** Limits of money in a currency that no model has a price in. */
const budgetProblems = ({ budgets, models }: ModelsConfig): string[] => {
  const priced = new Set([...models.values()].map(({ price }) => price?.currency));
  return [...budgets].flatMap(([tenant, { costPerRun, costPerDay }]) =>
    Object.keys({ ...costPerRun, ...costPerDay })
      .filter((currency) => !priced.has(currency))
      .map(
        (currency) =>
          `budgets.${tenant} limits costs in ${quote(currency)}, and no model has a price in it, so that nothing is counted. Set a price in that currency, or leave the limit out`,
      ),
  );
};

/** Empty = the configuration can be used. */
export const modelsProblems = (config: ModelsConfig): string[] =>
  [
    config.providers.size === 0 ? 'providers must have at least one provider' : null,
    ...[...config.providers.values()].flatMap(providerProblems),
    ...[...config.models.values()].flatMap((model) => modelProblems(config, model)),
    ...repeatedNames(config),
    ...capabilityContradictions(config),
    ...bodyContradictions(config),
    config.default !== null && !isModelKnown(config, config.default)
      ? `default names ${quote(config.default)}, which is no model of this file; use a name of models, or provider/model`
      : null,
    ...tenantProblems(config),
    ...budgetProblems(config),
  ].filter((problem) => typeof problem === 'string');

/**
 * Finds oddities of a configuration that works: ignored settings, and unknown names.
 *
 * Rule: no effects. Imported by the composition roots and the CLI.
 */
import type { Config, Role } from './config.ts';
import { VARIABLES } from './variables.ts';
import { describeModelSettings } from './model-settings.ts';
import { nearest } from './nearest-name.ts';

/** A limit of money needs a price to be counted by. */
const unpricedBudget = ({ backend, budgets, modelPrice, modelsFile }: Config): string | false => {
  const limited = [...budgets.values()].flatMap(({ costPerRun, costPerDay }) =>
    Object.keys({ ...costPerRun, ...costPerDay }),
  );
  const unpriced = limited.find((currency) => currency !== modelPrice?.currency);
  return (
    backend !== 'assistants' &&
    modelsFile === null &&
    unpriced !== undefined &&
    `RUNS_BUDGETS limits costs in ${unpriced}, and RUNS_MODEL_PRICE has no price in ${unpriced}: these limits have no effect; set a price in that currency`
  );
};

/** One sentence each, without its full stop. */
export const configWarnings = (config: Config, role: Role): string[] => {
  const list: (string | false)[] = [
    ...config.unknown.map((name) => {
      const meant = nearest(name, VARIABLES);
      return `${name} is not a setting of this program and is ignored${meant === null ? '' : `; did you mean ${meant}?`}`;
    }),
    config.backend === 'assistants' &&
      config.databaseUrl !== null &&
      'DATABASE_URL is ignored with RUNS_BACKEND=assistants: threads and runs live on that server',
    config.backend === 'assistants' &&
      config.model !== null &&
      'RUNS_MODEL is ignored with RUNS_BACKEND=assistants: the assistant names its model',
    config.backend !== 'chat' &&
      describeModelSettings(config.modelSettings) !== 'learned' &&
      `the RUNS_MODEL_… settings of the model server are ignored with RUNS_BACKEND=${config.backend}`,
    config.backend === 'assistants' &&
      (config.modelPrice !== null || config.budgets.size > 0) &&
      'RUNS_MODEL_PRICE and RUNS_BUDGETS are ignored with RUNS_BACKEND=assistants: that server counts tokens',
    unpricedBudget(config),
    config.modelsFile !== null &&
      describeModelSettings(config.modelSettings) !== 'learned' &&
      'the RUNS_MODEL_… settings of one model server are ignored with RUNS_MODELS: set them for each provider in the file',
    config.backend === 'chat' &&
      config.apiKey !== null &&
      config.modelSettings.headers['authorization'] !== undefined &&
      'the header "authorization" of RUNS_MODEL_HEADERS is ignored: OPENAI_API_KEY is set',
    config.backend !== 'assistants' &&
      config.apiVersion !== null &&
      config.baseUrl === null &&
      'OPENAI_API_VERSION is set without OPENAI_BASE_URL: only an address of Azure takes it; set that address, or unset the version',
    config.backend === 'assistants' &&
      config.offerTools !== null &&
      'RUNS_OFFER_TOOLS is ignored with RUNS_BACKEND=assistants: the upstream server offers the tools',
    config.backend === 'sandbox' &&
      config.baseUrl !== null &&
      'OPENAI_BASE_URL is ignored with RUNS_BACKEND=sandbox; set RUNS_BACKEND=chat to use that server',
    role === 'worker' &&
      config.toolsFile === null &&
      config.mcpFile === null &&
      'RUNS_TOOLS is not set: this worker has no tools of its own, every call is left to the caller of the API',
  ];
  return list.filter((item) => typeof item === 'string');
};

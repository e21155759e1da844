/**
 * The Prometheus implementation of the metrics port of activities.
 *
 * Rule: one registry per worker, none global; every label value comes from a bounded set (`tool` and `route` are
 * configured names; models are shown up to a number). The endpoint answers GET /metrics and nothing else.
 * Imported by the composition root.
 */
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { Metrics } from '../activities/index.ts';
import type { BackendObservation } from '../protocol/index.ts';
import type { LearnedOfServer } from '../protocol/ports/model.ts';

/** Seconds, from a loopback model to a person's day. */
const SHORT = [0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];
const LONG = [1, 10, 60, 300, 600, 3_600, 14_400, 86_400, 604_800];

const seconds = (ms: number): number => ms / 1_000;

export interface PrometheusMetrics {
  metrics: Metrics;
  registry: Registry;
}

/** Models shown; callers name models, so their number is theirs to choose otherwise. */
const MODELS_SHOWN = 50;
const MODEL_NAME_CHARS = 80;
/** The label of models beyond the number that is shown. */
const OTHER_MODELS = 'other';

/** The label of a model's name: the first names that are seen have one each, until the process ends. */
const modelLabels = (): ((model: string) => string) => {
  const shown = new Set<string>();
  return (model) => {
    const name = model.slice(0, MODEL_NAME_CHARS);
    if (shown.size < MODELS_SHOWN) shown.add(name);
    return shown.has(name) ? name : OTHER_MODELS;
  };
};

/** Seconds for which each finding still holds, read when the page is asked for. */
const learnedGauge = (registry: Registry, learned: () => LearnedOfServer[]): Gauge =>
  new Gauge({
    name: 'runs_model_learned_seconds',
    help: 'Seconds for which a learned limit of a model server is still used, by model.',
    labelNames: ['server', 'model', 'capability'],
    registers: [registry],
    collect() {
      this.reset();
      for (const { server, capabilities } of learned()) {
        const shown = new Set(capabilities.map(({ model }) => model).slice(-MODELS_SHOWN));
        for (const { model, capability, until } of capabilities)
          if (shown.has(model))
            this.set(
              { server, model: model.slice(0, MODEL_NAME_CHARS), capability },
              Math.max(0, Math.round(seconds(until - Date.now()))),
            );
      }
    },
  });

/** Seconds for which each model that has refused is still left alone. */
const cooldownGauge = (registry: Registry, learned: () => LearnedOfServer[]): Gauge =>
  new Gauge({
    name: 'runs_model_cooldown_seconds',
    help: 'Seconds for which a provider (model "*") or its model is not asked, since it has refused.',
    labelNames: ['provider', 'model', 'reason'],
    registers: [registry],
    collect() {
      this.reset();
      for (const { server, cooldowns = [] } of learned())
        for (const { model, reason, until } of cooldowns.slice(-MODELS_SHOWN))
          this.set(
            { provider: server, model: model?.slice(0, MODEL_NAME_CHARS) ?? '*', reason },
            Math.max(0, Math.ceil(seconds(until - Date.now()))),
          );
    },
  });

/** Makes metrics of one registry. */
const metricsOf = (registry: Registry) => ({
  counter: <Label extends string>(name: string, help: string, labelNames: Label[]) =>
    new Counter({ name, help, labelNames, registers: [registry] }),
  histogram: <Label extends string>(name: string, help: string, labelNames: Label[], buckets: number[]) =>
    new Histogram({ name, help, labelNames, buckets, registers: [registry] }),
});
type MetricMaker = ReturnType<typeof metricsOf>;

type ModelObservation = Extract<BackendObservation, { kind: 'model' | 'model_failed' }>;

/** Runs, rounds, and attempts at activities. */
const runMetrics = ({ counter, histogram }: MetricMaker): Omit<Metrics, 'observe'> => {
  const startedAfter = histogram(
    'runs_schedule_to_start_seconds',
    'Time that attempts at activities waited for a worker.',
    ['kind'],
    SHORT,
  );
  const ended = counter('runs_ended_total', 'Runs that reached an end.', ['backend', 'status']);
  const rounds = counter('runs_rounds_total', 'Rounds of tool calls that started.', ['backend']);
  const calls = counter('runs_tool_calls_total', 'Tool calls of models.', ['backend']);
  const waits = histogram(
    'runs_wait_seconds',
    'Time that rounds waited for a person or the caller of the API.',
    [],
    LONG,
  );
  const attempts = counter('runs_tool_attempts_total', 'Attempts at tool calls.', ['tool', 'outcome']);
  const toolTime = histogram(
    'runs_tool_attempt_seconds',
    'Duration of attempts at tool calls.',
    ['tool'],
    SHORT,
  );
  const activities = counter('runs_backend_activities_total', 'Attempts at backend activities.', [
    'activity',
    'outcome',
  ]);
  const activityTime = histogram(
    'runs_backend_activity_seconds',
    'Duration of attempts at backend activities, following the run included.',
    ['activity'],
    [...SHORT, 300, 600],
  );
  return {
    runEnded: (backend, status) => ended.inc({ backend, status }),
    roundBegan: (backend, asked) => {
      rounds.inc({ backend });
      calls.inc({ backend }, asked);
    },
    started: (kind, ms) => startedAfter.observe({ kind }, seconds(Math.max(0, ms))),
    waited: (ms) => waits.observe(seconds(ms)),
    toolAttempt: (tool, outcome, ms) => {
      attempts.inc({ tool, outcome });
      toolTime.observe({ tool }, seconds(ms));
    },
    backendActivity: (activity, outcome, ms) => {
      activities.inc({ activity, outcome });
      activityTime.observe({ activity }, seconds(ms));
    },
  };
};

/** Requests to models: their time, and their tokens. */
const modelMetrics = ({
  counter,
  histogram,
}: MetricMaker): ((backend: string, what: ModelObservation) => void) => {
  const modelTime = histogram('runs_model_seconds', 'Duration of model requests.', ['backend'], SHORT);
  const firstToken = histogram(
    'runs_model_first_token_seconds',
    'Time to the first token.',
    ['backend'],
    SHORT,
  );
  const tokens = counter('runs_tokens_total', 'Tokens, as the model server counts them.', [
    'backend',
    'kind',
  ]);
  const modelTokens = counter(
    'runs_model_tokens_total',
    'Tokens by model, as its server counts them: cached ones are a part of prompt, reasoning of completion.',
    ['model', 'kind'],
  );
  const modelCost = counter('runs_model_cost_total', 'What the tokens cost, at the price of the moment.', [
    'model',
    'currency',
  ]);
  const failures = counter('runs_model_failures_total', 'Requests to models that gave no answer.', [
    'provider',
    'reason',
  ]);
  const labelOf = modelLabels();
  const countModel = (model: string, what: Extract<BackendObservation, { kind: 'model' }>): void => {
    modelTokens.inc({ model, kind: 'prompt' }, what.promptTokens);
    modelTokens.inc({ model, kind: 'cached' }, what.cachedTokens);
    modelTokens.inc({ model, kind: 'completion' }, what.completionTokens);
    modelTokens.inc({ model, kind: 'reasoning' }, what.reasoningTokens);
    for (const [currency, amount] of Object.entries(what.cost))
      modelCost.inc({ model, currency }, Number(amount));
  };
  return (backend, what) => {
    if (what.kind === 'model_failed') {
      failures.inc({ provider: what.provider, reason: what.reason });
      return;
    }
    modelTime.observe({ backend }, seconds(what.ms));
    if (what.firstTokenMs !== null) firstToken.observe({ backend }, seconds(what.firstTokenMs));
    tokens.inc({ backend, kind: 'prompt' }, what.promptTokens);
    tokens.inc({ backend, kind: 'completion' }, what.completionTokens);
    countModel(labelOf(what.model), what);
  };
};

type LimitObservation = Extract<BackendObservation, { kind: 'model_wait' | 'model_cooldown' | 'budget' }>;

/** Turns that waited for a provider's limits, met its cooldown, or met a budget. */
const limitMetrics = ({ counter, histogram }: MetricMaker): ((what: LimitObservation) => void) => {
  const modelWait = histogram(
    'runs_model_wait_seconds',
    'How long turns waited for the limits of their provider.',
    ['provider'],
    LONG,
  );
  const budgets = counter('runs_budget_turns_total', 'Turns that a budget refused or let wait.', [
    'budget',
    'outcome',
  ]);
  const cooldowns = counter(
    'runs_model_cooldowns_total',
    'Refusals after which a model was left alone (began), and turns that passed it over for that.',
    ['provider', 'change'],
  );
  return (what) => {
    if (what.kind === 'model_cooldown') cooldowns.inc({ provider: what.provider, change: what.change });
    else if (what.kind === 'budget') budgets.inc({ budget: what.budget, outcome: what.outcome });
    else modelWait.observe({ provider: what.provider }, seconds(what.ms));
  };
};

/** What backends observe of their servers. */
const backendObserver = (make: MetricMaker): Metrics['observe'] => {
  const { counter, histogram } = make;
  const observeModel = modelMetrics(make);
  const observeLimit = limitMetrics(make);
  const requests = counter('runs_backend_requests_total', 'HTTP requests to the backend.', [
    'backend',
    'method',
    'route',
    'status',
  ]);
  const requestTime = histogram(
    'runs_backend_request_seconds',
    'Time to the response headers.',
    ['backend'],
    SHORT,
  );
  const fallbacks = counter(
    'runs_backend_fallbacks_total',
    'Streams that ended early, after which the worker polled.',
    ['backend', 'reason'],
  );
  const capabilities = counter(
    'runs_model_capabilities_total',
    'Limits of model servers that the worker learned, by model.',
    ['backend', 'capability', 'change'],
  );
  const oddStatuses = counter(
    'runs_backend_unknown_statuses_total',
    'Run statuses that this version does not know.',
    ['backend'],
  );
  const eventWrites = histogram(
    'runs_event_write_seconds',
    "Duration of writes of the model's words to the event log.",
    ['backend'],
    SHORT,
  );
  return (backend, what) => {
    switch (what.kind) {
      case 'capability':
        capabilities.inc({ backend, capability: what.capability, change: what.change });
        break;
      case 'request':
        requests.inc({ backend, method: what.method, route: what.route, status: String(what.status) });
        requestTime.observe({ backend }, seconds(what.ms));
        break;
      case 'fallback':
        fallbacks.inc({ backend, reason: what.reason });
        break;
      case 'events_written':
        eventWrites.observe({ backend }, seconds(what.ms));
        break;
      case 'unknown_status':
        // The status text comes from a foreign server: it is counted, and is no label.
        oddStatuses.inc({ backend });
        break;
      case 'model_wait':
      case 'model_cooldown':
      case 'budget':
        observeLimit(what);
        break;
      case 'model':
      case 'model_failed':
        observeModel(backend, what);
        break;
    }
  };
};

export const prometheusMetrics = (learned: () => LearnedOfServer[] = () => []): PrometheusMetrics => {
  const registry = new Registry();
  learnedGauge(registry, learned);
  cooldownGauge(registry, learned);
  collectDefaultMetrics({ register: registry });
  const make = metricsOf(registry);
  return { registry, metrics: { ...runMetrics(make), observe: backendObserver(make) } };
};

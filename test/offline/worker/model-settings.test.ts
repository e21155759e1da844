/** The settings of a model server: read, refused, shown without secrets, and sent with every request. */
import { afterEach, describe, expect, test } from 'vitest';
import { body as jsonBody, fine } from '../../support/chat-wire.ts';
import { collectTurn, modelRequest, tool } from '../../support/model-turn.ts';
import { scriptedHttp, type ScriptedHttp, type Step } from '../../support/scripted-http.ts';
import { makeModel } from '../../../worker/backends.ts';
import { configErrors, configFromEnv } from '../../../worker/config.ts';
import { configWarnings } from '../../../worker/config-warnings.ts';
import { describeConfig } from '../../../worker/describe-config.ts';
import { prometheusMetrics } from '../../../worker/metrics.ts';
import { NO_MODEL_SETTINGS } from '../../../worker/model-settings.ts';

const CHAT = {
  RUNS_BACKEND: 'chat',
  OPENAI_BASE_URL: 'http://127.0.0.1:9/v1',
  DATABASE_URL: 'postgres://h/x',
};

describe('the settings of a model server', () => {
  test('are those that are set; everything else is learned', () => {
    expect(configFromEnv({}).modelSettings).toEqual(NO_MODEL_SETTINGS);
  });

  test.each([
    [
      'RUNS_MODEL_MAX_TOKENS_FIELD',
      'tokens',
      /must be "max_completion_tokens" or "max_tokens"; got "tokens"/,
    ],
    ['RUNS_MODEL_ROLES_ALTERNATE', 'yes', /must be "true" or "false"; got "yes"/],
    ['RUNS_MODEL_STREAM', 'no', /must be "always" or "without_tools" or "never"; got "no"/],
    ['RUNS_MODEL_JSON_SCHEMA', 'tool', /must be "true" or "false"; got "tool"/],
    ['RUNS_MODEL_IMAGES', '1', /must be "true" or "false"; got "1"/],
    ['RUNS_MODEL_CONTEXT_TOKENS', '8k', /must be a whole number from 1 to 100000000; got "8k"/],
    ['RUNS_MODEL_CONTEXT_TOKENS', '0', /got "0"/],
    ['RUNS_MODEL_HEADERS', 'x: canary', /must be a JSON object, such as .*; the value is not JSON/],
    ['RUNS_MODEL_HEADERS', '["canary"]', /the value is JSON, but not an object/],
    ['RUNS_MODEL_HEADERS', '{"x y":"canary"}', /"x y" is not a valid header name/],
    ['RUNS_MODEL_HEADERS', '{"Host":"canary"}', /must not set "Host", which belongs to the connection/],
    ['RUNS_MODEL_HEADERS', '{"x":"canary\\r\\ny: z"}', /the value of "x" must be a text of visible ASCII/],
    ['RUNS_MODEL_HEADERS', '{"x":1}', /the value of "x" must be a text/],
    ['RUNS_MODEL_BODY', 'null', /the value is JSON, but not an object/],
    ['RUNS_MODEL_BODY', '{"stream":false}', /must not set "stream".*set RUNS_MODEL_STREAM/],
    ['RUNS_MODEL_BODY', '{"messages":["canary"]}', /must not set "messages".*leave it out/],
    ['RUNS_MODEL_BODY', `{"x":"${'y'.repeat(65_536)}"}`, /65536 are allowed/],
  ])('%s=%s is refused at start', (name, value, words) => {
    const errors = configErrors(configFromEnv({ ...CHAT, [name]: value }), 'worker');
    expect(errors).toHaveLength(1);
    expect(errors[0]).toMatch(words);
    expect(errors[0]).toContain(name);
    expect(errors[0]).not.toContain('canary');
  });

  test('are shown without values of headers and body', () => {
    const shown = describeConfig(
      configFromEnv({
        ...CHAT,
        RUNS_MODEL_HEADERS: '{"x-key":"canary"}',
        RUNS_MODEL_BODY: '{"key":"canary"}',
        RUNS_MODEL_STREAM: 'never',
      }),
    );
    expect(shown['modelSettings']).toBe('streams never; headers x-key; body key');
    expect(describeConfig(configFromEnv({}))['modelSettings']).toBe('learned');
  });

  test('that change nothing are pointed out', () => {
    const headers = { RUNS_MODEL_HEADERS: '{"authorization":"Basic canary"}' };
    expect(configWarnings(configFromEnv({ ...CHAT, OPENAI_API_KEY: 'k', ...headers }), 'serve')).toEqual([
      'the header "authorization" of RUNS_MODEL_HEADERS is ignored: OPENAI_API_KEY is set',
    ]);
    expect(configWarnings(configFromEnv({ ...headers }), 'dev')).toEqual([
      'the RUNS_MODEL_… settings of the model server are ignored with RUNS_BACKEND=sandbox',
    ]);
  });
});

const refusal = (): Step =>
  jsonBody(
    { error: { message: "Unknown parameter: 'stream_options'.", type: 'invalid_request_error' } },
    400,
  );

describe('a model with settings', () => {
  const open: ScriptedHttp[] = [];
  afterEach(async () => {
    for (const server of open.splice(0)) await server.close();
  });

  const requests = async (env: Record<string, string>, ...steps: Step[]) => {
    const server = await scriptedHttp(steps.length === 0 ? [fine()] : steps);
    open.push(server);
    const model = await makeModel(configFromEnv({ ...CHAT, OPENAI_BASE_URL: `${server.url}/v1`, ...env }));
    try {
      const { finish } = await collectTurn(
        model,
        modelRequest({
          maxOutputTokens: 300,
          tools: [tool('look')],
          messages: ['Hello', 'again'].map((text) => ({ role: 'user', content: [{ type: 'text', text }] })),
        }),
      );
      return {
        finish,
        learned: { server: model.provider, capabilities: model.learned() },
        sent: server.requests.map(({ headers, body }) => ({
          headers,
          body: JSON.parse(body) as Record<string, unknown>,
        })),
      };
    } finally {
      await model.dispose();
    }
  };

  test('sends the default request without settings', async () => {
    const { sent } = await requests({});
    expect(sent[0]?.body).toMatchObject({ max_completion_tokens: 300, stream: true });
    expect(sent[0]?.body['messages']).toHaveLength(2);
  });

  test('sends the settings with the first request', async () => {
    const { sent } = await requests(
      {
        RUNS_MODEL_MAX_TOKENS_FIELD: 'max_tokens',
        RUNS_MODEL_ROLES_ALTERNATE: 'true',
        RUNS_MODEL_STREAM: 'without_tools',
        RUNS_MODEL_HEADERS: '{"X-Team":"shop"}',
        RUNS_MODEL_BODY: '{"top_k":20,"max_tokens":100}',
      },
      fine(),
    );
    expect(sent).toHaveLength(1);
    expect(sent[0]?.headers['x-team']).toBe('shop');
    // What is set in the body wins.
    expect(sent[0]?.body).toMatchObject({ max_tokens: 100, top_k: 20 });
    expect(sent[0]?.body).not.toHaveProperty('max_completion_tokens');
    expect(sent[0]?.body).not.toHaveProperty('stream');
    expect(sent[0]?.body['messages']).toHaveLength(1);
  });

  test('learns beside them, and the metrics show it for its server and model', async () => {
    const { learned } = await requests({ RUNS_MODEL_STREAM: 'always' }, refusal(), fine());
    expect(learned.capabilities).toMatchObject([{ model: 'model-a', capability: 'no_stream_usage' }]);
    const { registry } = prometheusMetrics(() => [learned]);
    const page = await registry.metrics();
    expect(page).toMatch(
      /^runs_model_learned_seconds\{server="http:\/\/127\.0\.0\.1:\d+",model="model-a",capability="no_stream_usage"\} (599|600)$/m,
    );
  });

  test('cooldowns have the seconds that are left, by provider, model and reason', async () => {
    const until = Date.now() + 60_000;
    const cooldowns = [
      { model: 'small', reason: 'rate_limited' as const, until, times: 1 },
      { model: null, reason: 'unavailable' as const, until, times: 1 },
    ];
    const { registry, metrics } = prometheusMetrics(() => [{ server: 'near', capabilities: [], cooldowns }]);
    metrics.observe('chat', { kind: 'model_cooldown', provider: 'near', change: 'began' });
    const page = await registry.metrics();
    expect(page).toMatch(
      /^runs_model_cooldown_seconds\{provider="near",model="small",reason="rate_limited"\} (59|60)$/m,
    );
    expect(page).toMatch(
      /^runs_model_cooldown_seconds\{provider="near",model="\*",reason="unavailable"\} (59|60)$/m,
    );
    expect(page).toContain('runs_model_cooldowns_total{provider="near",change="began"} 1');
  });

  test('is shown with a bounded number of models', async () => {
    const capabilities = Array.from({ length: 200 }, (_one, index) => ({
      model: `${index}-${'x'.repeat(500)}`,
      capability: 'no_stream',
      until: Date.now() + 1_000,
      times: 1,
    }));
    const { registry } = prometheusMetrics(() => [{ server: 's', capabilities }]);
    const lines = (await registry.metrics())
      .split('\n')
      .filter((line) => line.startsWith('runs_model_learned'));
    expect(lines).toHaveLength(50);
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThan(200);
  });
});

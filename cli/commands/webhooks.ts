/**
 * `runs webhooks …`: where events are sent, their secrets, and the log of deliveries, through the API.
 *
 * Rule: a secret is printed once, by the command that makes it. Imported by `program.ts`.
 */
import { usageError } from '../../app/exit.ts';
import { nonEmpty } from '../../app/dev-state.ts';
import type { Page } from '../../protocol/wire/objects.ts';
import {
  WEBHOOK_EVENTS,
  type WebhookDelivery,
  type WebhookEndpoint,
  type WebhookWithSecret,
} from '../../protocol/wire/webhooks.ts';
import type { ApiClient } from '../api-client.ts';
import { defineCommand, type CommandContext } from '../command.ts';
import { connections } from '../connections.ts';
import { oneLine, table } from '../output/format.ts';

const apiOf = async ({ io }: CommandContext): Promise<ApiClient> => {
  const found = await connections(io);
  if (found.backend === 'assistants')
    throw usageError(
      'RUNS_BACKEND is "assistants", which has no webhooks. Its runs call the hooks of the tools file.',
    );
  const { ApiClient } = await import('../api-client.ts');
  return new ApiClient(found.api(), io.signal);
};

const WEBHOOKS = '/v1/webhooks';
const pathOf = (id: string, action = ''): string => `${WEBHOOKS}/${encodeURIComponent(id)}${action}`;
const DELIVERIES = `${WEBHOOKS}/deliveries`;

const day = (seconds: number): string => `${new Date(seconds * 1000).toISOString().slice(0, 19)}Z`;

const eventsOf = (text: string | undefined): string[] | undefined => {
  if (text === undefined) return undefined;
  const names = text.split(/[\s,]+/).filter((name) => name !== '');
  const known: readonly string[] = WEBHOOK_EVENTS;
  const unknown = names.find((name) => !known.includes(name));
  if (unknown !== undefined || names.length === 0)
    throw usageError(
      `--events must list event types out of ${WEBHOOK_EVENTS.join(', ')}; got ${JSON.stringify(unknown ?? text)}.`,
    );
  return names;
};

const secretLines = ({ id, secret }: WebhookWithSecret): string[] => [
  id,
  secret,
  'The second line is the secret; it is not shown again.',
];

export const listWebhooksCommand = defineCommand<object>({
  name: 'webhooks list',
  summary: 'list webhooks, newest first',
  configure: (command) => command,
  run: async (context) => {
    const { data } = await (await apiOf(context)).call<Page<WebhookEndpoint>>('GET', `${WEBHOOKS}?limit=100`);
    const rows = data.map(({ id, tenant, url, events, disabled_at: disabled, disabled_reason: why }) => [
      id,
      oneLine(tenant, 30),
      oneLine(url, 80),
      events === null ? 'all' : events.join(', '),
      disabled === null ? '' : `disabled${why === 'gone' ? ', the receiver answered 410' : ''}`,
    ]);
    return {
      json: { webhooks: data },
      lines:
        rows.length === 0 ? ['No webhooks.'] : table([['WEBHOOK', 'TENANT', 'URL', 'EVENTS', ''], ...rows]),
    };
  },
});

interface AddOptions {
  events?: string;
  description?: string;
  tenant?: string;
}

export const addWebhookCommand = defineCommand<AddOptions>({
  name: 'webhooks add',
  summary: 'send events to a URL, and print the secret that signs them',
  configure: (command) =>
    command
      .argument('<url>', 'where events are sent')
      .option('--events <types>', 'only these events, separated by commas; default: all')
      .option('--description <text>', 'a text for people')
      .option('--tenant <name>', 'events of this tenant; default: that of the key'),
  run: async (context, [url = ''], { events, description, tenant }) => {
    const types = eventsOf(events);
    const made = await (
      await apiOf(context)
    ).call<WebhookWithSecret>('POST', WEBHOOKS, {
      url,
      ...(types === undefined ? {} : { events: types }),
      ...(description === undefined ? {} : { description }),
      ...(nonEmpty(tenant) === undefined ? {} : { tenant }),
    });
    return { json: made, lines: secretLines(made) };
  },
});

export const removeWebhookCommand = defineCommand<object>({
  name: 'webhooks remove',
  summary: 'delete a webhook and the log of its deliveries',
  configure: (command) => command.argument('<id>', 'id of the webhook'),
  run: async (context, [id = '']) => ({
    json: await (await apiOf(context)).call<unknown>('DELETE', pathOf(id)),
    lines: [`Webhook ${id} is deleted.`],
  }),
});

export const rotateWebhookCommand = defineCommand<{ oldFor?: string }>({
  name: 'webhooks rotate',
  summary: 'make a new secret, and print it',
  configure: (command) =>
    command
      .argument('<id>', 'id of the webhook')
      .option('--old-for <seconds>', 'how long the older secrets sign as well; default: a day'),
  run: async (context, [id = ''], { oldFor }) => {
    if (oldFor !== undefined && !/^\d{1,7}$/.test(oldFor))
      throw usageError(`--old-for must be a whole number of seconds; got ${JSON.stringify(oldFor)}.`);
    const body = oldFor === undefined ? {} : { old_expires_in: Number(oldFor) };
    const made = await (await apiOf(context)).call<WebhookWithSecret>('POST', pathOf(id, '/rotate'), body);
    return { json: made, lines: secretLines(made) };
  },
});

const deliveryLines = (deliveries: readonly WebhookDelivery[]): string[] =>
  table([
    ['DELIVERY', 'AT', 'EVENT', 'RUN', 'NUMBER', 'STATUS', 'ATTEMPTS', 'LAST'],
    ...deliveries.map(({ id, created_at: at, event, run_id: run, sequence, status, attempts, log }) => [
      id,
      day(at),
      event,
      run ?? '',
      String(sequence),
      status,
      String(attempts),
      oneLine(log.at(-1)?.error ?? '', 80),
    ]),
  ]);

export const testWebhookCommand = defineCommand<object>({
  name: 'webhooks test',
  summary: 'send a test event to a webhook',
  configure: (command) => command.argument('<id>', 'id of the webhook'),
  run: async (context, [id = '']) => {
    const made = await (await apiOf(context)).call<WebhookDelivery>('POST', pathOf(id, '/test'), {});
    return { json: made, lines: deliveryLines([made]) };
  },
});

export const deliveriesCommand = defineCommand<
  Record<'webhook' | 'run' | 'status' | 'limit', string | undefined>
>({
  name: 'webhooks deliveries',
  summary: 'list deliveries of webhooks, newest first, and why attempts failed',
  configure: (command) =>
    command
      .option('--webhook <id>', 'only of this webhook')
      .option('--run <id>', 'only events of this run')
      .option('--status <status>', 'pending, delivered, failed or cancelled')
      .option('--limit <number>', 'maximum number, up to 100', '20'),
  run: async (context, _args, { webhook, run, status, limit }) => {
    const named = { webhook_id: webhook, run_id: run, status, limit };
    const query = Object.entries(named).flatMap(([name, value]) =>
      value === undefined ? [] : [`${name}=${encodeURIComponent(value)}`],
    );
    const api = await apiOf(context);
    const { data } = await api.call<Page<WebhookDelivery>>('GET', `${DELIVERIES}?${query.join('&')}`);
    return {
      json: { deliveries: data },
      lines: data.length === 0 ? ['No deliveries.'] : deliveryLines(data),
    };
  },
});

export const redeliverCommand = defineCommand<object>({
  name: 'webhooks redeliver',
  summary: 'send a delivery again, with the same webhook-id',
  configure: (command) => command.argument('<id>', 'id of the delivery'),
  run: async (context, [id = '']) => {
    const path = `${DELIVERIES}/${encodeURIComponent(id)}/redeliver`;
    const made = await (await apiOf(context)).call<WebhookDelivery>('POST', path, {});
    return { json: made, lines: deliveryLines([made]) };
  },
});

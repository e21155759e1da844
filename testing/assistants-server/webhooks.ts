/**
 * Webhooks of the scripted server: it has none and takes none, since nothing in it outlives a test.
 * Imported by `engine.ts`.
 */
import { apiErrors } from '../../protocol/errors.ts';
import type { Caller } from '../../protocol/ports/runs-service.ts';
import type { WebhooksService } from '../../protocol/ports/webhooks-service.ts';
import type { Page } from '../../protocol/wire/objects.ts';

const none = async <Item>(): Promise<Page<Item>> => ({
  object: 'list',
  data: [],
  first_id: null,
  last_id: null,
  has_more: false,
});

const unknown =
  (kind: 'webhook' | 'delivery') =>
  async (_caller: unknown, id: string): Promise<never> => {
    throw apiErrors.notFound(kind, id);
  };

export const scriptedWebhooks: WebhooksService<Caller> = {
  createWebhook: async () => {
    throw apiErrors.invalid('url', 'The scripted server sends no webhooks.', 'unsupported_parameter');
  },
  listWebhooks: none,
  getWebhook: unknown('webhook'),
  updateWebhook: unknown('webhook'),
  deleteWebhook: unknown('webhook'),
  rotateWebhook: unknown('webhook'),
  testWebhook: unknown('webhook'),
  listWebhookDeliveries: none,
  getWebhookDelivery: unknown('delivery'),
  redeliverWebhook: unknown('delivery'),
};

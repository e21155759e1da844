/**
 * What the page of webhooks asks the server for. Rule: as in `http/api.ts`; a secret stays in the page's memory until its dialog
 * closes. Imported by the page's parts only.
 */
import type { Page } from '../../../../protocol/wire/objects.ts';
import type {
  WebhookDelivery,
  WebhookEndpoint,
  WebhookEventType,
  WebhookWithSecret,
} from '../../../../protocol/wire/webhooks.ts';
import { requestJson } from '../../http/api.ts';

const WEBHOOKS = '/v1/webhooks';
const pathOf = (id: string): string => `${WEBHOOKS}/${encodeURIComponent(id)}`;

export const readWebhooks = async (): Promise<WebhookEndpoint[]> =>
  (await requestJson<Page<WebhookEndpoint>>(`${WEBHOOKS}?limit=100`)).data;

export const addWebhook = (body: {
  url: string;
  description: string | null;
  events: WebhookEventType[] | null;
}): Promise<WebhookWithSecret> => requestJson(WEBHOOKS, { method: 'POST', body });

export const rotateSecret = (id: string): Promise<WebhookWithSecret> =>
  requestJson(`${pathOf(id)}/rotate`, { method: 'POST', body: {} });

export const sendTest = (id: string): Promise<WebhookDelivery> =>
  requestJson(`${pathOf(id)}/test`, { method: 'POST', body: {} });

export const setDisabled = (id: string, disabled: boolean): Promise<WebhookEndpoint> =>
  requestJson(pathOf(id), { method: 'POST', body: { disabled } });

export const deleteWebhook = async (id: string): Promise<void> => {
  await requestJson(pathOf(id), { method: 'DELETE' });
};

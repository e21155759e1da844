/**
 * Webhooks, for operators: where events are sent, and the secrets that sign them.
 *
 * Rule: a secret is shown once, in the dialog after it was made. Nothing is polled.
 */
import { useCallback, useEffect, useState } from 'preact/hooks';
import type { WebhookEndpoint, WebhookWithSecret } from '../../../../protocol/wire/webhooks.ts';
import { problemText } from '../../http/api.ts';
import { notify } from '../../layout/notices.tsx';
import { hrefOf } from '../../router.ts';
import { Button } from '../../ui/button.tsx';
import { Dialog } from '../../ui/dialog.tsx';
import { AddWebhook } from './add-webhook.tsx';
import { deleteWebhook, readWebhooks, rotateSecret, sendTest, setDisabled } from './webhook-data.ts';
import { WebhookList, type WebhookAction } from './webhook-list.tsx';
import './webhooks.css';

const SecretDialog = ({ made, onClose }: { made: WebhookWithSecret; onClose: () => void }) => (
  <Dialog title="The secret of the webhook" onClose={onClose}>
    <p>The receiver verifies signatures with it. It is not shown again.</p>
    <p>
      <code class="webhook-secret">{made.secret}</code>
    </p>
    <Button kind="primary" onClick={onClose}>
      I have stored it
    </Button>
  </Dialog>
);

const DeleteDialog = ({
  webhook,
  onDelete,
  onClose,
}: {
  webhook: WebhookEndpoint;
  onDelete: () => void;
  onClose: () => void;
}) => (
  <Dialog
    title="Delete the webhook?"
    onClose={onClose}
    actions={
      <Button kind="danger" onClick={onDelete}>
        Delete the webhook
      </Button>
    }
  >
    <p>{webhook.url} gets no more events, and the log of its deliveries is deleted, too.</p>
  </Dialog>
);

type Shown =
  | null
  | { kind: 'add' }
  | { kind: 'secret'; made: WebhookWithSecret }
  | { kind: 'delete'; webhook: WebhookEndpoint };

/** null = not read yet. */
const useWebhooks = () => {
  const [webhooks, setWebhooks] = useState<WebhookEndpoint[] | null>(null);
  const read = useCallback(async (): Promise<void> => {
    try {
      setWebhooks(await readWebhooks());
    } catch (error) {
      notify({ kind: 'problem', text: problemText(error) });
    }
  }, []);
  useEffect(() => void read(), [read]);
  return { webhooks, read };
};

/** Runs a change and reads the page again; a failure is a notice. */
const changing =
  (read: () => Promise<void>) =>
  async (change: () => Promise<unknown>, text: string | null): Promise<void> => {
    try {
      await change();
      if (text !== null) notify({ kind: 'success', text });
    } catch (error) {
      notify({ kind: 'problem', text: problemText(error) });
    }
    await read();
  };

const WebhooksPage = () => {
  const { webhooks, read } = useWebhooks();
  const [shown, setShown] = useState<Shown>(null);
  const close = (): void => setShown(null);
  const change = changing(read);
  const onAction = (action: WebhookAction, webhook: WebhookEndpoint): void => {
    const { id } = webhook;
    if (action === 'delete') setShown({ kind: 'delete', webhook });
    if (action === 'test') void change(() => sendTest(id), 'A test event is on its way.');
    if (action === 'disable') void change(() => setDisabled(id, true), 'The webhook is off.');
    if (action === 'enable') void change(() => setDisabled(id, false), 'The webhook is on.');
    if (action === 'rotate')
      void change(async () => setShown({ kind: 'secret', made: await rotateSecret(id) }), null);
  };
  return (
    <div class="page webhooks-page">
      <header class="part-head webhooks-head">
        <h1>Webhooks</h1>
        <Button kind="primary" onClick={() => setShown({ kind: 'add' })}>
          Add a webhook
        </Button>
      </header>
      <p class="muted">
        What was sent, and what was not, is in the <a href={hrefOf('/deliveries')}>log of deliveries</a>.
      </p>
      {webhooks === null ? (
        <div class="page-loading" aria-busy={true} />
      ) : (
        <WebhookList webhooks={webhooks} onAction={onAction} />
      )}
      {shown?.kind === 'add' ? (
        <AddWebhook
          onClose={close}
          onAdded={(made) => {
            setShown({ kind: 'secret', made });
            void read();
          }}
        />
      ) : null}
      {shown?.kind === 'secret' ? <SecretDialog made={shown.made} onClose={close} /> : null}
      {shown?.kind === 'delete' ? (
        <DeleteDialog
          webhook={shown.webhook}
          onClose={close}
          onDelete={() => {
            const { id } = shown.webhook;
            close();
            void change(() => deleteWebhook(id), 'The webhook is deleted.');
          }}
        />
      ) : null}
    </div>
  );
};
export default WebhooksPage;

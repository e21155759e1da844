/** The webhooks, and what a person does with one. Imported by the page. */
import type { WebhookEndpoint } from '../../../../protocol/wire/webhooks.ts';
import { Button } from '../../ui/button.tsx';
import { DataTable } from '../../ui/data-table.tsx';
import { EmptyState } from '../../ui/empty-state.tsx';
import { EscapedText } from '../../ui/escaped-text.tsx';

export type WebhookAction = 'test' | 'rotate' | 'disable' | 'enable' | 'delete';

export interface WebhookListProps {
  webhooks: readonly WebhookEndpoint[];
  onAction: (action: WebhookAction, webhook: WebhookEndpoint) => void;
}

const stateOf = ({ disabled_at: disabled, disabled_reason: reason }: WebhookEndpoint): string => {
  if (disabled === null) return 'on';
  return reason === 'gone' ? 'off: the receiver answered 410' : 'off';
};

const Actions = ({
  webhook,
  onAction,
}: Pick<WebhookListProps, 'onAction'> & { webhook: WebhookEndpoint }) => {
  const button = (action: WebhookAction, text: string) => (
    <Button
      kind={action === 'delete' ? 'danger' : 'quiet'}
      label={`${text}: ${webhook.url}`}
      onClick={() => onAction(action, webhook)}
    >
      {text}
    </Button>
  );
  return (
    <span class="webhook-actions">
      {button('test', 'Test')}
      {button('rotate', 'New secret')}
      {webhook.disabled_at === null ? button('disable', 'Turn off') : button('enable', 'Turn on')}
      {button('delete', 'Delete')}
    </span>
  );
};

export const WebhookList = ({ webhooks, onAction }: WebhookListProps) =>
  webhooks.length === 0 ? (
    <EmptyState title="No webhooks">Add one to be told when a run waits, is decided or ends.</EmptyState>
  ) : (
    <DataTable
      caption="Webhooks"
      rows={webhooks}
      keyOf={({ id }) => id}
      columns={[
        {
          title: 'URL',
          cell: ({ url, description }) => (
            <>
              <EscapedText text={url} />
              {description === null ? null : (
                <p class="muted">
                  <EscapedText text={description} />
                </p>
              )}
            </>
          ),
        },
        { title: 'Tenant', cell: ({ tenant }) => <EscapedText text={tenant} /> },
        { title: 'Events', cell: ({ events }) => (events === null ? 'all' : events.join(', ')) },
        { title: 'State', cell: stateOf },
        { title: 'Actions', cell: (webhook) => <Actions webhook={webhook} onAction={onAction} /> },
      ]}
    />
  );

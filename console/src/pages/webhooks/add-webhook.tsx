/** The form that adds a webhook. Imported by the page. */
import { useState } from 'preact/hooks';
import {
  WEBHOOK_EVENTS,
  type WebhookEventType,
  type WebhookWithSecret,
} from '../../../../protocol/wire/webhooks.ts';
import { problemText } from '../../http/api.ts';
import { Button } from '../../ui/button.tsx';
import { Dialog } from '../../ui/dialog.tsx';
import { addWebhook } from './webhook-data.ts';

export interface AddWebhookProps {
  onAdded: (made: WebhookWithSecret) => void;
  onClose: () => void;
}

export const AddWebhook = ({ onAdded, onClose }: AddWebhookProps) => {
  const [url, setUrl] = useState('');
  const [description, setDescription] = useState('');
  const [events, setEvents] = useState<readonly WebhookEventType[]>(WEBHOOK_EVENTS);
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<string | null>(null);
  const submit = async (): Promise<void> => {
    setBusy(true);
    try {
      const chosen = events.length === WEBHOOK_EVENTS.length ? null : [...events];
      onAdded(
        await addWebhook({ url, description: description === '' ? null : description, events: chosen }),
      );
    } catch (error) {
      setProblem(problemText(error));
      setBusy(false);
    }
  };
  return (
    <Dialog title="Add a webhook" onClose={onClose}>
      <form
        class="webhook-form"
        aria-label="Add a webhook"
        onSubmit={(event) => {
          event.preventDefault();
          void submit();
        }}
      >
        <label>
          URL
          <input type="url" required value={url} onInput={(event) => setUrl(event.currentTarget.value)} />
        </label>
        <label>
          Description
          <input value={description} onInput={(event) => setDescription(event.currentTarget.value)} />
        </label>
        <fieldset>
          <legend>Events</legend>
          {WEBHOOK_EVENTS.map((type) => (
            <label key={type} class="webhook-event">
              <input
                type="checkbox"
                checked={events.includes(type)}
                onChange={(event) =>
                  setEvents(
                    event.currentTarget.checked ? [...events, type] : events.filter((one) => one !== type),
                  )
                }
              />
              {type}
            </label>
          ))}
        </fieldset>
        {problem === null ? null : <p role="alert">{problem}</p>}
        <Button type="submit" kind="primary" busy={busy} disabled={events.length === 0}>
          Add
        </Button>
      </form>
    </Dialog>
  );
};

/** What was sent to webhooks, for operators: each delivery with its attempts, and the button that sends it again. */
import { useEffect, useState } from 'preact/hooks';
import type { Page } from '../../../../protocol/wire/objects.ts';
import { DELIVERY_STATUSES, type WebhookDelivery } from '../../../../protocol/wire/webhooks.ts';
import { problemText, queryText, requestJson } from '../../http/api.ts';
import { readAgain } from '../../http/read-again.ts';
import { announce, notify } from '../../layout/notices.tsx';
import { hrefOf, query, setQuery } from '../../router.ts';
import { spanText } from '../../runs/figures.ts';
import { Problem } from '../../ui/problem.tsx';
import { Button } from '../../ui/button.tsx';
import { EmptyState } from '../../ui/empty-state.tsx';
import { EscapedText } from '../../ui/escaped-text.tsx';
import { TimeAgo } from '../../ui/time-left.tsx';
import './deliveries.css';

const PAGE = 50;
const PAUSES = { shortMs: 10_000, longMs: 60_000 };
const TONES = { pending: 'busy', delivered: 'ok', failed: 'bad', cancelled: 'dim' } as const;

interface Listed {
  deliveries: WebhookDelivery[] | null;
  more: boolean;
  problem: unknown;
}

/** The newest deliveries, read again while they are looked at. `turn`: raised to read at once. */
const useDeliveries = (status: string, run: string, turn: number): Listed => {
  const [listed, setListed] = useState<Listed>({ deliveries: null, more: false, problem: null });
  useEffect(() => {
    const abort = new AbortController();
    let seen = '';
    const read = async (): Promise<boolean> => {
      try {
        const page = await requestJson<Page<WebhookDelivery>>(
          `/v1/webhooks/deliveries${queryText({ status, run_id: run, limit: PAGE })}`,
          { signal: abort.signal },
        );
        const text = JSON.stringify(page);
        if (text === seen) return false;
        seen = text;
        setListed({ deliveries: page.data, more: page.has_more, problem: null });
        return true;
      } catch (problem) {
        seen = '';
        if (!abort.signal.aborted) setListed((before) => ({ ...before, problem }));
        return false;
      }
    };
    const stop = readAgain(read, PAUSES);
    return () => {
      abort.abort();
      stop();
    };
  }, [status, run, turn]);
  return listed;
};

const Attempts = ({ delivery }: { delivery: WebhookDelivery }) => (
  <ol class="delivery-log">
    {delivery.log.map((attempt, index) => (
      <li key={`${attempt.at} ${index}`}>
        <TimeAgo at={attempt.at} /> · {attempt.status ?? 'no response'} · {spanText(attempt.milliseconds)}
        {attempt.error === null ? null : (
          <div class="problem">
            <EscapedText text={attempt.error} />
          </div>
        )}
      </li>
    ))}
  </ol>
);

const DeliveryRow = ({ delivery, onSent }: { delivery: WebhookDelivery; onSent: () => void }) => {
  const [busy, setBusy] = useState(false);
  const redeliver = async (): Promise<void> => {
    setBusy(true);
    try {
      await requestJson(`/v1/webhooks/deliveries/${encodeURIComponent(delivery.id)}/redeliver`, {
        method: 'POST',
        body: {},
      });
      announce('The delivery is sent again.');
      onSent();
    } catch (error) {
      notify({ kind: 'problem', text: problemText(error) });
    } finally {
      setBusy(false);
    }
  };
  return (
    <li class="delivery">
      <details>
        <summary>
          <span class={`status status-${TONES[delivery.status]}`}>{delivery.status}</span>
          <span>
            <EscapedText text={delivery.event} />
          </span>
          <span class="muted small">
            <TimeAgo at={delivery.created_at} /> · {delivery.attempts}{' '}
            {delivery.attempts === 1 ? 'attempt' : 'attempts'}
          </span>
        </summary>
        <dl class="delivery-facts">
          <div>
            <dt>Webhook</dt>
            <dd>
              <code>{delivery.webhook_id}</code>
            </dd>
          </div>
          <div>
            <dt>Event</dt>
            <dd>
              <code>{delivery.event_id}</code>, number {delivery.sequence} of its run
            </dd>
          </div>
          {delivery.run_id === null ? null : (
            <div>
              <dt>Run</dt>
              <dd>
                <a href={hrefOf(`/runs/${encodeURIComponent(delivery.run_id)}`)}>
                  <code>{delivery.run_id}</code>
                </a>
              </dd>
            </div>
          )}
        </dl>
        <Attempts delivery={delivery} />
        <Button busy={busy} onClick={() => void redeliver()}>
          {delivery.status === 'pending' ? 'Send now' : 'Send again'}
        </Button>
      </details>
    </li>
  );
};

const DeliveriesPage = () => {
  const asked = query.value.get('status') ?? '';
  const status = DELIVERY_STATUSES.find((one) => one === asked) ?? '';
  const [turn, setTurn] = useState(0);
  const { deliveries, more, problem } = useDeliveries(status, query.value.get('run') ?? '', turn);
  return (
    <div class="page deliveries">
      <header class="part-head">
        <h1>Deliveries</h1>
        <select
          aria-label="Status"
          value={status}
          onChange={(event) => setQuery({ status: event.currentTarget.value })}
        >
          <option value="">Any status</option>
          {DELIVERY_STATUSES.map((one) => (
            <option key={one} value={one}>
              {one}
            </option>
          ))}
        </select>
      </header>
      <Problem error={problem} />
      {deliveries === null ? (
        <div class="page-loading" aria-busy={problem === null} />
      ) : deliveries.length === 0 ? (
        <EmptyState title="No deliveries">Webhooks are told of waits, decisions and ends of runs.</EmptyState>
      ) : (
        <ul class="delivery-list" aria-label="Deliveries">
          {deliveries.map((delivery) => (
            <DeliveryRow key={delivery.id} delivery={delivery} onSent={() => setTurn(turn + 1)} />
          ))}
        </ul>
      )}
      {more ? <p class="muted">The newest {PAGE} are shown.</p> : null}
    </div>
  );
};
export default DeliveriesPage;

/** The store's part in cooldowns, in memory and on any clock: each test has its own. Tests only. */
import type { CooldownStore } from '../../protocol/ports/provider-limits.ts';
import { cooldownAfter, type Cooldown, type CooldownReason } from '../../protocol/rules/cooldown.ts';

type Row = Cooldown & { model: string | null; reason: CooldownReason };

const keyOf = (provider: string, model: string | null) => JSON.stringify([provider, model]);

export const cooldownsInMemory = (now: () => number = Date.now): CooldownStore => {
  const rows = new Map<string, Row>();
  const shown = ({ until, ...row }: Row) => ({ ...row, leftMs: until - now() });
  return {
    readCooldowns: (provider, model) =>
      Promise.resolve(
        [null, model].flatMap((one) => {
          const row = rows.get(keyOf(provider, one));
          return row === undefined ? [] : [shown(row)];
        }),
      ),
    coolDown: ({ provider, model, reason, retryAfterMs }) => {
      const key = keyOf(provider, model);
      const row = { model, reason, ...cooldownAfter(rows.get(key) ?? null, retryAfterMs, now()) };
      rows.set(key, row);
      return Promise.resolve(shown(row));
    },
    endCooldowns: (provider, model) => {
      for (const one of [null, model])
        if ((rows.get(keyOf(provider, one))?.until ?? Infinity) <= now()) rows.delete(keyOf(provider, one));
      return Promise.resolve();
    },
  };
};

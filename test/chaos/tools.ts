/**
 * The tools of a drill's worker, and the world they change: a folder with one file for each idempotency key.
 *
 * Rule: the world dedupes by key, as a payment service does; whatever a tool does is in the ledger before and after.
 * Short timeouts, so that an attempt whose process died is noticed while somebody watches.
 */
import { createHash } from 'node:crypto';
import { mkdirSync, openSync, closeSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { z } from 'zod';
import { defineTools, type ToolContext, type ToolRegistry } from '../../activities/index.ts';
import type { Faults } from './faults.ts';
import { openLedger } from './ledger.ts';

const parameters = z.object({ n: z.number().int() });

/** One attempt of any of them. Longer than a busy machine stands still, shorter than a drill. */
const ATTEMPT = '5s';
/** How long `slow` takes, in milliseconds: long enough to be killed in the middle. */
const SLOW_MS = 400;
const retry = { initialInterval: '200ms', maximumAttempts: 20 };

/** True when this key changed the world just now, false when it had before. */
const takeEffect = (dir: string, key: string): boolean => {
  const effects = join(dir, 'effects');
  mkdirSync(effects, { recursive: true });
  try {
    closeSync(openSync(join(effects, createHash('sha256').update(key).digest('hex')), 'wx'));
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
};

export const drillTools = (dir: string, faults: Faults): ToolRegistry => {
  const ledger = openLedger(join(dir, 'ledger.jsonl'));
  const note = (tool: string, phase: 'began' | 'effect' | 'again', context: ToolContext): void =>
    ledger.append({ kind: 'tool', phase, tool, key: context.idempotencyKey, attempt: context.attempt });
  const work = async (tool: string, n: number, context: ToolContext, ms = 0): Promise<string> => {
    faults.at('tool.starting');
    note(tool, 'began', context);
    if (ms > 0) await pause(ms, undefined, { signal: context.signal });
    faults.at('tool.effecting');
    note(tool, takeEffect(dir, context.idempotencyKey) ? 'effect' : 'again', context);
    faults.at('tool.effected');
    return `${tool} ${n} done under ${context.idempotencyKey}`;
  };
  return defineTools({
    keyed: {
      description: 'Changes the world once a key.',
      parameters,
      timeout: ATTEMPT,
      retry,
      execute: ({ n }, context) => work('keyed', n, context),
    },
    slow: {
      description: 'The same, slowly.',
      parameters,
      timeout: ATTEMPT,
      retry,
      execute: ({ n }, context) => work('slow', n, context, SLOW_MS),
    },
    flaky: {
      description: 'Takes effect, and then its first attempt says that it failed.',
      parameters,
      timeout: ATTEMPT,
      retry,
      execute: async ({ n }, context) => {
        const output = await work('flaky', n, context);
        if (context.attempt === 1) throw new Error('The connection to the world was lost.');
        return output;
      },
    },
    once: {
      description: 'Must never run twice.',
      parameters,
      timeout: ATTEMPT,
      atMostOnce: true,
      execute: ({ n }, context) => work('once', n, context),
    },
    approve: {
      description: 'Changes the world when a person agrees.',
      parameters,
      timeout: ATTEMPT,
      retry,
      approval: true,
      execute: ({ n }, context) => work('approve', n, context),
    },
    ask: { description: 'A person knows.', parameters, external: true },
  });
};

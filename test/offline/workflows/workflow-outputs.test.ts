import { assert, array, oneof, constantFrom, property, string, nat, tuple } from 'fast-check';
import { describe, expect, test } from 'vitest';
import { LIMITS } from '../../../protocol/limits.ts';
import type { RunInput } from '../../../protocol/temporal/messages.ts';
import { EXPIRY, T0, after, asks, does, says, settles } from '../../support/run-inputs.ts';
import { automatic, external } from '../../support/run-stubs.ts';
import { utf8Length } from '../../../protocol/rules/tool-outputs.ts';
import { fitOutputs } from '../../../workflows/run/fit-outputs.ts';

const bytes = (outputs: readonly { output: string }[]): number =>
  outputs.reduce((sum, { output }) => sum + utf8Length(output), 0);

describe('outputs of a round', () => {
  test('that fit are left as they are', () => {
    const outputs = [
      { callId: 'a', output: 'x'.repeat(1000) },
      { callId: 'b', output: '' },
    ];
    expect(fitOutputs(outputs)).toEqual(outputs);
  });

  test('that are too large together are cut at the largest, which says so; small ones stay whole', () => {
    const fitted = fitOutputs([
      { callId: 'a', output: 'a'.repeat(700_000) },
      { callId: 'b', output: 'small' },
      { callId: 'c', output: 'c'.repeat(900_000) },
    ]);
    expect(bytes(fitted)).toBeLessThan(LIMITS.combinedOutputBytes);
    expect(bytes(fitted)).toBeGreaterThan(LIMITS.combinedOutputBytes * 0.99);
    expect(fitted[1]).toEqual({ callId: 'b', output: 'small' });
    expect(fitted[0]?.output).toMatch(/a\n\[truncated: the first \d+ of 700000 bytes\]$/);
    expect(fitted[2]?.output).toMatch(/c\n\[truncated: the first \d+ of 900000 bytes\]$/);
  });

  test('that are in the run’s row already leave as they are there; elsewhere the server’s limit holds', () => {
    const big = 'x'.repeat(300_000);
    const round = (more: Partial<RunInput>): string[] => {
      const asked = asks([external('e'), external('f'), automatic('a')]);
      const state = after(
        more,
        { type: 'start', at: T0 },
        settles('create', asked),
        says({ call_id: 'e', output: big }),
        does('a', 'y'.repeat(600_000)),
        says({ call_id: 'f', output: big }),
      );
      expect(state.op).toEqual({ kind: 'submit' });
      return state.calls.map(({ outcome }) => outcome?.output ?? '');
    };
    const [e, f, a] = round({ backend: 'chat', createdAt: T0, expiresAt: EXPIRY });
    expect([e === big, f === big]).toEqual([true, true]);
    expect(utf8Length(a ?? '')).toBeLessThan(LIMITS.combinedOutputBytes);
    const there = round({ backend: 'assistants' });
    expect(there.reduce((sum, text) => sum + utf8Length(text), 0)).toBeLessThan(LIMITS.combinedOutputBytes);
  });

  test('are never cut inside a character', () => {
    for (const length of [300_000, 300_001, 300_002, 300_003]) {
      const [fitted] = fitOutputs([{ callId: 'a', output: 'x'.repeat(length % 4) + '😀'.repeat(length) }]);
      expect(fitted?.output).not.toContain('\u{FFFD}');
      expect(fitted?.output).toContain('[truncated');
    }
  });

  test('made of characters that JSON escapes still fit one payload', () => {
    const fitted = fitOutputs([{ callId: 'a', output: '\u0001'.repeat(511_000) }]);
    expect(utf8Length(JSON.stringify(fitted))).toBeLessThan(2_000_000);
  });

  test('keep number, order and ids, fit, and come out the same each time', () => {
    const outputs = array(
      tuple(oneof(string(), constantFrom('ä', '😀', '\n')), nat({ max: 3000 })).map(([text, times]) =>
        text.repeat(times),
      ),
      { minLength: 1, maxLength: 20 },
    ).map((texts) => texts.map((output, index) => ({ callId: `call_${index}`, output })));
    assert(
      property(outputs, nat({ max: 20_000 }), (given, extra) => {
        const limit = 4000 + extra;
        const fitted = fitOutputs(given, limit);
        expect(fitted.map(({ callId }) => callId)).toEqual(given.map(({ callId }) => callId));
        expect(bytes(fitted)).toBeLessThanOrEqual(limit);
        expect(fitOutputs(given, limit)).toEqual(fitted);
        expect(fitOutputs(fitted, limit)).toEqual(fitted);
      }),
      { numRuns: 200 },
    );
  });
});

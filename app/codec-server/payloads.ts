/**
 * Payloads as Temporal's Web UI and command line exchange them with a codec endpoint: JSON with base64 values.
 *
 * Rule: a request that is not of this form is refused as a whole, before anything is decrypted.
 * Imported by `app.ts` and tests.
 */
import type { Payload } from '@temporalio/common';
import { z } from 'zod';

const base64 = z.base64().nullish();
const wirePayload = z.object({ metadata: z.record(z.string(), base64).nullish(), data: base64 });
const requestSchema = z.object({ payloads: z.array(wirePayload) });

const toBytes = (text: string | null | undefined): Buffer => Buffer.from(text ?? '', 'base64');
const toText = (bytes: Uint8Array | null | undefined): string => Buffer.from(bytes ?? []).toString('base64');

/** The payloads of a request; null = it has another form. */
export const readPayloads = (body: unknown): Payload[] | null => {
  const parsed = requestSchema.safeParse(body);
  if (!parsed.success) return null;
  return parsed.data.payloads.map(({ metadata, data }) => ({
    metadata: Object.fromEntries(
      Object.entries(metadata ?? {}).map(([name, value]) => [name, toBytes(value)]),
    ),
    data: toBytes(data),
  }));
};

export const writePayloads = (payloads: readonly Payload[]) => ({
  payloads: payloads.map(({ metadata, data }) => ({
    metadata: Object.fromEntries(
      Object.entries(metadata ?? {}).map(([name, value]) => [name, toText(value)]),
    ),
    data: toText(data),
  })),
});

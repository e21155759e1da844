/**
 * Several payload codecs in the order of the SDK: from the first to the last to encode, from the last to the first to decode.
 *
 * Imported by the codec endpoint and `runs doctor`.
 */
import type { PayloadCodec } from '@temporalio/common';

/** `codecs` as one codec. */
export const chainCodecs = (codecs: readonly PayloadCodec[]): PayloadCodec => ({
  async encode(payloads) {
    let current = payloads;
    for (const codec of codecs) current = await codec.encode(current);
    return current;
  },
  async decode(payloads) {
    let current = payloads;
    for (const codec of codecs.toReversed()) current = await codec.decode(current);
    return current;
  },
});

/** The built-in payload codec: what it encrypts, how keys rotate, and what it refuses. */
import { defaultPayloadConverter, type Payload } from '@temporalio/common';
import * as fc from 'fast-check';
import { randomBytes } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { encryptedNotice } from '../../../client/encrypted-notice.ts';
import { parseEncryptionKeys } from '../../../client/encryption-keys.ts';
import { createEncryptionCodec, EncryptionKeyMissingError } from '../../../client/encryption.ts';

const A = `a:${'0a'.repeat(32)}`;
const B = `b:${'0b'.repeat(32)}`;
const codec = (setting: string) => createEncryptionCodec(parseEncryptionKeys(setting));
const bytesOf = ({ metadata, data }: Payload): Buffer =>
  Buffer.concat([...Object.values(metadata ?? {}), data ?? Buffer.alloc(0)].map((part) => Buffer.from(part)));
const plain = (payload: Payload) => ({
  metadata: Object.fromEntries(
    Object.entries(payload.metadata ?? {}).map(([name, value]) => [name, Buffer.from(value).toString('hex')]),
  ),
  data: Buffer.from(payload.data ?? []).toString('hex'),
});

const payloads = fc.record({
  metadata: fc.dictionary(fc.string({ minLength: 1 }), fc.uint8Array({ maxLength: 40 }), { maxKeys: 4 }),
  data: fc.uint8Array({ maxLength: 2_000 }),
});

describe('a payload', () => {
  test('comes back as it was, whatever it holds', async () => {
    const sealer = codec(A);
    await fc.assert(
      fc.asyncProperty(fc.array(payloads, { maxLength: 4 }), async (given) => {
        const restored = await sealer.decode(await sealer.encode(given));
        expect(restored.map(plain)).toEqual(given.map(plain));
      }),
    );
  });

  test('shows nothing of its data or metadata, and is another text each time', async () => {
    const sealer = codec(A);
    const given = defaultPayloadConverter.toPayload({ iban: 'canary-DE00' });
    const [first, second] = await sealer.encode([given, given]);
    for (const sealed of [first, second]) {
      expect(bytesOf(sealed ?? {}).includes('canary')).toBe(false);
      expect(bytesOf(sealed ?? {}).includes('json/plain')).toBe(false);
    }
    expect(bytesOf(first ?? {}).equals(bytesOf(second ?? {}))).toBe(false);
  });

  test('that was never encrypted is passed on, also one of another codec', async () => {
    const other = { metadata: { encoding: Buffer.from('binary/encrypted') }, data: Buffer.from('x') };
    const given = [defaultPayloadConverter.toPayload('before'), other];
    expect((await codec(A).decode(given)).map(plain)).toEqual(given.map(plain));
  });

  test('that was changed in one bit, or carries another key’s name, is refused by name', async () => {
    const [sealed = {}] = await codec(A).encode([defaultPayloadConverter.toPayload({ amount: 20 })]);
    const data = Buffer.from(sealed.data ?? []);
    await fc.assert(
      fc.asyncProperty(fc.nat(data.length * 8 - 1), async (bit) => {
        const changed = Buffer.from(data);
        changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
        await expect(codec(A).decode([{ ...sealed, data: changed }])).rejects.toThrow(
          EncryptionKeyMissingError,
        );
      }),
      { numRuns: 60 },
    );
    const renamed = { ...sealed.metadata, 'encryption-key-id': Buffer.from('b') };
    await expect(codec(`b:${'0a'.repeat(32)}`).decode([{ ...sealed, metadata: renamed }])).rejects.toThrow(
      EncryptionKeyMissingError,
    );
  });
});

const thrownBy = (work: () => unknown): string => {
  try {
    work();
    return '';
  } catch (error) {
    return String(error);
  }
};

describe('keys', () => {
  test('rotate: the new one in front encrypts, and both decrypt until the old one is removed', async () => {
    const old = await codec(A).encode([defaultPayloadConverter.toPayload('old')]);
    // First every process learns to read the new key, then it becomes the one that encrypts.
    const learned = codec(`${A},${B}`);
    const rotated = codec(`${B} ${A}`);
    const fresh = await rotated.encode([defaultPayloadConverter.toPayload('new')]);
    for (const reader of [learned, rotated])
      expect(
        (await reader.decode([...old, ...fresh])).map((each) => defaultPayloadConverter.fromPayload(each)),
      ).toEqual(['old', 'new']);
    expect(defaultPayloadConverter.fromPayload((await codec(B).decode(fresh))[0] ?? {})).toBe('new');
  });

  test('that are missing are named, without any key', async () => {
    const sealed = await codec(A).encode([defaultPayloadConverter.toPayload('x')]);
    const error = await codec(B)
      .decode(sealed)
      .then(
        () => null,
        (caught: unknown) => caught,
      );
    expect(error).toMatchObject({ name: 'EncryptionKeyMissing' });
    expect(String(error)).toContain('key "a"; RUNS_ENCRYPTION_KEYS has "b"');
    expect(String(error)).not.toContain('0b0b');
  });

  test('are 32 bytes in hex or base64', () => {
    const key = randomBytes(32);
    for (const text of [key.toString('hex'), key.toString('base64'), key.toString('base64url')])
      expect(parseEncryptionKeys(`k1:${text}`).byId.get('k1')).toEqual(key);
  });

  test.each([
    ['', 'is empty'],
    ['0a'.repeat(32), 'key 1 needs an id'],
    [`bad id:${'0a'.repeat(32)}`, 'key 1 needs an id'],
    ['a:short', 'key 1 ("a") is not 32 bytes'],
    [`${A},a:${'0c'.repeat(32)}`, 'key 2 repeats the id "a"'],
    [`${A},c:${'0a'.repeat(32)}`, 'key 2 ("c") repeats the bytes'],
  ])('that are wrong are refused without being shown: %j', (setting, rule) => {
    const error = thrownBy(() => parseEncryptionKeys(setting));
    expect(error).toContain(rule);
    expect(error).not.toMatch(/0a0a|0c0c|short/);
  });
});

const metadata = (details: string, more: object = {}) =>
  defaultPayloadConverter.toPayload({
    definition: {
      type: 'run',
      queryDefinitions: [{ name: 'run', description: 'canary-description' }],
      signalDefinitions: [],
      updateDefinitions: [{ name: 'answer' }, { name: 'canary-name' }],
      ...more,
    },
    currentDetails: details,
  });

describe('what the Web UI reads of a run without a codec endpoint', () => {
  test('is the names of its messages and where the details are, and with a key all of it', async () => {
    const sealer = codec(A);
    const given = metadata('canary-details');
    const [sealed = {}] = await sealer.encode([given]);
    expect(bytesOf(sealed).includes('canary')).toBe(false);
    expect(defaultPayloadConverter.fromPayload(sealed)).toMatchObject({
      definition: { type: 'run', updateDefinitions: [{ name: 'answer' }] },
      currentDetails: expect.stringContaining('runs codec-server'),
    });
    expect((await sealer.decode([sealed])).map(plain)).toEqual([plain(given)]);
  });

  test('is made of constants, whatever looks like a workflow’s metadata', () => {
    const looksAlike = fc.record({
      definition: fc.record({
        type: fc.constantFrom('run', 'followUp', 'canary'),
        queryDefinitions: fc.anything(),
        signalDefinitions: fc.array(
          fc.record({ name: fc.constant('canary'), description: fc.constant('canary') }),
        ),
        updateDefinitions: fc.array(
          fc.record({ name: fc.constant('answer'), description: fc.constant('canary') }),
        ),
      }),
      currentDetails: fc.constant('canary'),
      canary: fc.constant('canary'),
    });
    fc.assert(
      fc.property(looksAlike, (value) => {
        const data = Buffer.from(JSON.stringify(value) ?? '');
        const notice = encryptedNotice({ metadata: { encoding: Buffer.from('json/plain') }, data });
        expect(notice === null || !bytesOf(notice).includes('canary')).toBe(true);
      }),
    );
  });
});

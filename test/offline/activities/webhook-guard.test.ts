/** Where webhooks may be sent: the internet and listed networks, whatever form an address takes and whatever a name says. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, onTestFinished, test } from 'vitest';
import { request } from 'undici';
import { addressProblem, parseNetworks } from '../../../activities/webhooks/address-guard.ts';
import { guardedAgent, type Resolve } from '../../../activities/webhooks/connect-guard.ts';
import { webhookUrlProblem } from '../../../protocol/rules/webhook-url.ts';

const none = parseNetworks('', () => undefined);
const listed = (text: string) => parseNetworks(text, (entry) => expect.unreachable(entry));
const problem = (address: string, networks = none, plain = false) =>
  addressProblem(address, networks, { plain });

const FORBIDDEN = [
  '0.0.0.0',
  '10.0.0.1',
  '100.64.0.1',
  '127.0.0.1',
  '127.255.255.254',
  '169.254.169.254',
  '172.16.0.1',
  '172.31.255.255',
  '192.0.0.1',
  '192.0.2.1',
  '192.88.99.1',
  '192.168.1.1',
  '198.18.0.1',
  '198.51.100.1',
  '203.0.113.1',
  '224.0.0.1',
  '255.255.255.255',
  '::',
  '::1',
  '::127.0.0.1',
  '::ffff:127.0.0.1',
  '::ffff:169.254.169.254',
  '::ffff:7f00:1',
  '::ffff:8.8.8.8',
  '::ffff:0:127.0.0.1',
  '64:ff9b::7f00:1',
  '64:ff9b::169.254.169.254',
  '64:ff9b:1::1',
  '100::1',
  '2001::1',
  '2001:db8::1',
  '2001:10::1',
  '2002:7f00:1::',
  '2002:a9fe:a9fe::1',
  '3fff::1',
  'fc00::1',
  'fd12:3456:789a::1',
  'fd00:ec2::254',
  'fe80::1',
  'fe80::1%eth0',
  'fec0::1',
  'ff02::1',
  'localhost',
  '2130706433',
  '0x7f.1',
  '',
];
const PUBLIC = [
  '1.1.1.1',
  '8.8.8.8',
  '93.184.216.34',
  '172.32.0.1',
  '100.128.0.1',
  '2606:4700::1111',
  '2a00:1450::1',
];

describe('an address', () => {
  test.each(FORBIDDEN)('%j is refused', (address) => expect(problem(address)).not.toBeNull());
  test.each(PUBLIC)('%j is allowed over https, and over http only where it is listed', (address) => {
    expect(problem(address)).toBeNull();
    expect(problem(address, none, true)).not.toBeNull();
    expect(problem(address, listed(address), true)).toBeNull();
  });

  test('of a listed network is allowed, also mapped into IPv6, and its neighbours are not', () => {
    const networks = listed('10.1.0.0/16, fd00:1::/32\n127.0.0.1');
    for (const address of ['10.1.2.3', '::ffff:10.1.2.3', 'fd00:1::5', '127.0.0.1'])
      expect([address, problem(address, networks), problem(address, networks, true)]).toEqual([
        address,
        null,
        null,
      ]);
    for (const address of ['10.2.0.1', '127.0.0.2', 'fd00:2::1', '::1'])
      expect(problem(address, networks)).not.toBeNull();
  });

  test.each(['10.0.0.0/33', '10.0.0', 'fd00::/129', 'localhost', '10.0.0.0/8/8', '10.0.0.0/-1', '*'])(
    'the entry %j is no network',
    (entry) => {
      const bad: string[] = [];
      expect(parseNetworks(entry, (one) => bad.push(one)).empty).toBe(true);
      expect(bad).toEqual([entry]);
    },
  );
});

describe('a URL', () => {
  test('that leads to a page over https is taken', () => {
    expect(webhookUrlProblem('https://example.com/hook?x=1', { plain: false })).toBeNull();
    expect(webhookUrlProblem('http://example.com/', { plain: true })).toBeNull();
  });

  test.each([
    ['http://example.com/', 'http is for networks'],
    ['ftp://example.com/', "expected 'https:'"],
    ['file:///etc/passwd', "expected 'https:'"],
    ['https://user:secret@example.com/', 'no user and no password'],
    ['https://example.com/#x', 'no fragment'],
    ['example.com', 'expected a URL'],
    [`https://example.com/${'x'.repeat(2_048)}`, 'at most 2048'],
  ])('%s is refused', (url, expected) => {
    expect(webhookUrlProblem(url, { plain: false })).toContain(expected);
  });
});

/** A receiver that counts requests, and a resolver whose answers a test changes. */
const receiver = async () => {
  const paths: string[] = [];
  const server = createServer((incoming, response) => {
    paths.push(incoming.url ?? '');
    if (incoming.url === '/redirect') response.writeHead(307, { location: '/inner' });
    response.end('the inside');
  });
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void server.close());
  const { port } = server.address() as AddressInfo;
  const answers: string[][] = [];
  const asked: string[] = [];
  const resolve: Resolve = (hostname, _options, done) => {
    asked.push(hostname);
    done(
      null,
      (answers.shift() ?? ['127.0.0.1']).map((address) => ({
        address,
        family: address.includes(':') ? 6 : 4,
      })),
    );
  };
  const send = async (url: string, networks: string, path = '/') => {
    const dispatcher = guardedAgent(
      parseNetworks(networks, () => undefined),
      resolve,
    );
    try {
      const { statusCode } = await request(`${url}:${port}${path}`, {
        method: 'POST',
        body: 'x',
        dispatcher,
      });
      return statusCode;
    } catch (error) {
      return error instanceof Error && 'code' in error ? error.code : error;
    } finally {
      await dispatcher.destroy();
    }
  };
  return { paths, answers, asked, send };
};

describe('a connection', () => {
  test.each([
    'http://127.0.0.1',
    'http://localhost',
    'http://2130706433',
    'http://0x7f.0.0.1',
    'http://017700000001',
    'http://[::1]',
    'http://[::ffff:127.0.0.1]',
    'https://127.0.0.1',
  ])('to %s is not made', async (url) => {
    const { paths, send } = await receiver();
    expect(await send(url, '')).toBe('forbidden_address');
    expect(paths).toEqual([]);
  });

  test('is made to a listed address', async () => {
    const { paths, send } = await receiver();
    expect(await send('http://127.0.0.1', '127.0.0.0/8')).toBe(200);
    expect(await send('http://hooks.example', '127.0.0.0/8')).toBe(200);
    expect(paths).toHaveLength(2);
  });

  test('is checked by the answer that is connected to: a name that changes its answer gains nothing', async () => {
    const { paths, answers, asked, send } = await receiver();
    // The first answer is public and is not reachable here; the second is the private one.
    answers.push(['127.0.0.2'], ['127.0.0.1']);
    expect(await send('http://rebind.example', '127.0.0.2')).not.toBe(200);
    expect(await send('http://rebind.example', '127.0.0.2')).toBe('forbidden_address');
    expect(asked).toEqual(['rebind.example', 'rebind.example']);
    expect(paths).toEqual([]);
  });

  test('is not made to a name with one forbidden address among its addresses', async () => {
    const { paths, answers, send } = await receiver();
    answers.push(['127.0.0.1', '169.254.169.254']);
    expect(await send('http://mixed.example', '127.0.0.1')).toBe('forbidden_address');
    expect(paths).toEqual([]);
  });

  test('follows no redirect', async () => {
    const { paths, send } = await receiver();
    expect(await send('http://127.0.0.1', '127.0.0.1', '/redirect')).toBe(307);
    expect(paths).toEqual(['/redirect']);
  });
});

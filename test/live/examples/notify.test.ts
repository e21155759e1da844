/** The example that turns webhooks into messages, against receivers that stand for Slack, Teams and a mail server. */
import { cp } from 'node:fs/promises';
import { createServer as createHttp } from 'node:http';
import { createServer, type AddressInfo, type Server } from 'node:net';
import { join } from 'node:path';
import { Webhook } from 'standardwebhooks';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { makeProgramFolder, startProgram } from '../../support/program-folder.ts';
import { ROOT } from '../../support/sources.ts';
import { webhookHeaders } from '../../../activities/webhooks/sign.ts';
import { newSecret } from '../../../service/webhooks.ts';

const secret = newSecret();
const LINK = 'https://runs.example/console/approvals/appr_1_1_0';
const call = { id: 'appr_1_1_0', tool: 'refund', answer_by: 1_800_000_000, on_deadline: 'fail', url: LINK };
const WAITING = { type: 'run.waiting', data: { run_id: 'run_1', sequence: 1, approvals: [call] } };

interface Posted {
  path: string;
  body: string;
}
const posted: Posted[] = [];
/** Statuses of the next answers; then 200. */
const statuses: number[] = [];
const chat = createHttp((request, response) => {
  let body = '';
  request.setEncoding('utf8');
  request.on('data', (piece: string) => {
    body += piece;
  });
  request.on('end', () => {
    posted.push({ path: request.url ?? '', body });
    response.writeHead(statuses.shift() ?? 200).end();
  });
});
const mails: string[] = [];
/** A mail server as small as the protocol allows. */
const post = createServer((socket) => {
  let text = '';
  let inMail = false;
  socket.setEncoding('utf8');
  socket.write('220 mail.test\r\n');
  socket.on('error', () => undefined);
  socket.on('data', (piece: string) => {
    text += piece;
    for (let end = text.indexOf('\r\n'); end >= 0; end = text.indexOf('\r\n')) {
      if (inMail) {
        const over = text.indexOf('\r\n.\r\n');
        if (over < 0) return;
        mails.push(text.slice(0, over));
        text = text.slice(over + 5);
        inMail = false;
        socket.write('250 taken\r\n');
        continue;
      }
      const line = text.slice(0, end).toUpperCase();
      text = text.slice(end + 2);
      inMail = line === 'DATA';
      socket.write(inMail ? '354 go on\r\n' : line === 'QUIT' ? '221 bye\r\n' : '250 ok\r\n');
    }
  });
});
const portOf = async (server: Server): Promise<number> => {
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  return (server.address() as AddressInfo).port;
};

let url = '';
let ports: number[] = [];
beforeAll(async () => {
  ports = await Promise.all([portOf(chat), portOf(post)]);
});
beforeEach(async () => {
  posted.length = 0;
  mails.length = 0;
  const dir = await makeProgramFolder('example-notify');
  await cp(join(ROOT, 'examples', 'notify'), dir, { recursive: true });
  const [chatPort, mailPort] = ports;
  const env = {
    WEBHOOK_SECRET: secret,
    SLACK_URL: `http://127.0.0.1:${chatPort}/slack`,
    TEAMS_URL: `http://127.0.0.1:${chatPort}/teams`,
    SMTP_URL: `smtp://127.0.0.1:${mailPort}`,
    MAIL_FROM: 'runs@example.com',
    MAIL_TO: 'alice@example.com',
    PORT: '0',
  };
  const program = startProgram(dir, env, 'exec node main.mjs');
  await expect
    .poll(() => /listening on (\d+)/.exec(program.output())?.[1], { timeout: 30_000 })
    .toMatch(/^\d+$/);
  url = `http://127.0.0.1:${/listening on (\d+)/.exec(program.output())?.[1]}/`;
}, 60_000);
afterAll(async () => {
  chat.close();
  post.close();
});
const send = async (id: string, event: object, headers = {}): Promise<number> => {
  const body = JSON.stringify(event);
  const signed = { ...webhookHeaders(id, body, [secret], Date.now()), ...headers };
  return (await fetch(url, { method: 'POST', headers: signed, body })).status;
};

test('a wait becomes a message in Slack, in Teams and a mail, each with the link to the page of the call', async () => {
  expect(await send('evt_1', WAITING)).toBe(204);
  expect(posted.map(({ path }) => path)).toEqual(['/slack', '/teams']);
  const [slack, teams] = posted.map(({ body }) => JSON.parse(body) as unknown);
  expect(slack).toMatchObject({
    text: 'refund waits for a decision',
    blocks: [{ type: 'section' }, { accessory: { type: 'button', url: LINK } }],
  });
  expect(teams).toMatchObject({
    type: 'message',
    attachments: [{ content: { type: 'AdaptiveCard', actions: [{ type: 'Action.OpenUrl', url: LINK }] } }],
  });
  expect(mails).toEqual([expect.stringContaining('Subject: refund waits for a decision')]);
  expect(mails[0]).toContain(LINK);
  expect(mails[0]).toContain('To: alice@example.com');
});

test('a channel that fails is tried again with the next attempt, and the others get the message once', async () => {
  statuses.push(200, 500);
  expect(await send('evt_2', WAITING)).toBe(503);
  expect(await send('evt_2', WAITING)).toBe(204);
  expect(await send('evt_2', WAITING)).toBe(204);
  expect(posted.map(({ path }) => path)).toEqual(['/slack', '/teams', '/teams']);
  expect(mails).toHaveLength(1);
});

test('a request without a signature of the secret is refused, and tells nobody', async () => {
  const forged = new Webhook(newSecret()).sign('evt_3', new Date(), JSON.stringify(WAITING));
  expect(await send('evt_3', WAITING, { 'webhook-signature': forged })).toBe(401);
  expect((await fetch(url)).status).toBe(401);
  expect([posted, mails]).toEqual([[], []]);
});

test('a run that completed is not worth a message; one that failed is', async () => {
  expect(await send('evt_4', { type: 'run.ended', data: { run_id: 'run_1', status: 'completed' } })).toBe(
    204,
  );
  expect(posted).toEqual([]);
  expect(await send('evt_5', { type: 'run.ended', data: { run_id: 'run_1', status: 'failed' } })).toBe(204);
  expect(posted).toHaveLength(2);
});

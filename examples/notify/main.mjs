import { createServer } from 'node:http';
import nodemailer from 'nodemailer';
import { Webhook } from 'standardwebhooks';
import { mail, messageOf, slack, teams } from './formats.mjs';

const { WEBHOOK_SECRET, SLACK_URL, TEAMS_URL, SMTP_URL, MAIL_FROM, MAIL_TO, PORT = '9000' } = process.env;
const webhook = new Webhook(WEBHOOK_SECRET);
const mailer = SMTP_URL === undefined ? null : nodemailer.createTransport(SMTP_URL);

const post = async (url, body) => {
  const headers = { 'content-type': 'application/json' };
  const response = await fetch(url, { method: 'POST', headers, body: JSON.stringify(body) });
  if (!response.ok) throw new Error(`${new URL(url).host} answered ${response.status}`);
};

// A repeated attempt has the id of the first: channels that have the message already are left out.
const done = new Map();
const tell = async (id, message) => {
  const told = done.get(id) ?? new Set();
  done.set(id, told);
  if (done.size > 10_000) done.delete(done.keys().next().value);
  const once = async (channel, send) => {
    if (told.has(channel)) return;
    await send();
    told.add(channel);
  };
  if (SLACK_URL !== undefined) await once('slack', () => post(SLACK_URL, slack(message)));
  if (TEAMS_URL !== undefined) await once('teams', () => post(TEAMS_URL, teams(message)));
  if (mailer !== null)
    await once('mail', () => mailer.sendMail({ from: MAIL_FROM, to: MAIL_TO, ...mail(message) }));
};

const server = createServer(async (request, response) => {
  const pieces = [];
  for await (const piece of request) pieces.push(piece);
  let event;
  try {
    event = webhook.verify(Buffer.concat(pieces).toString(), request.headers);
  } catch {
    return void response.writeHead(401).end();
  }
  try {
    const message = messageOf(event);
    if (message !== null) await tell(request.headers['webhook-id'], message);
    response.writeHead(204).end();
  } catch (error) {
    // The server of the runs sends it again.
    console.error(error.message);
    response.writeHead(503).end();
  }
});
server.listen(Number(PORT), '127.0.0.1', () => console.log(`listening on ${server.address().port}`));

/** The test server as a program that speaks over stdio; `LEDGER` names its ledger. Started by tests. */
import { serveStdio } from '@modelcontextprotocol/server/stdio';
import { appendFileSync } from 'node:fs';
import { testMcpServer } from './server.ts';

const ledger = process.env['LEDGER'] ?? '';
appendFileSync(ledger, `started ${process.pid}\n`);
process.stderr.write(`the token is ${process.env['TOKEN'] ?? 'none'}\n`);
serveStdio(() => testMcpServer(ledger));

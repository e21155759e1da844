/**
 * docs/how-to/migrate-a-program.md: the line of each library is the one that its program in `test/clients/` runs, and the address in refusals leads
 * there. The rows of the official Node and Python clients are run by `test/live/clients/official-migrating.test.ts`.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { MIGRATING_URL } from '../../../api/unsupported.ts';
import { CLIENTS_DIR, LANES, programOf } from '../../clients/harness/lanes.ts';
import { migratingRows } from '../../support/migrating.ts';
import { ROOT } from '../../support/sources.ts';

const rows = migratingRows();
const codeOf = (client: string): string[] =>
  rows.filter(({ library }) => library === client).flatMap(({ code }) => code);

/** What a program adds to a line for the test: no retries that would hide an error, and the proxy's certificate. */
const ADDED = [
  ',{retryoptions:{maxretries:0}}',
  ',max_retries=0',
  ',maxretries:0',
  '.maxretries(0)',
  ',option.withmaxretries(0)',
  ',retry_total=0',
  ',connection_verify=ca_file',
];

/** Code without what languages and formatters do to it, and with the constants of `report` under their own names. */
const plain = (code: string): string =>
  ADDED.reduce(
    (text, added) => text.replaceAll(added, ''),
    code
      .toLowerCase()
      .replaceAll(/[\s;]/g, '')
      .replaceAll("'", '"')
      .replaceAll(/,(?=[)}])/g, '')
      .replaceAll(/\breport\.(?=url|key|https)/g, ''),
  );

const ENVIRONMENT = /^[A-Z_]+=(?:URL|KEY)(?: [A-Z_]+=(?:URL|KEY))*$/;
const holds = (program: string, code: string): boolean => {
  const [before = '', after = ''] = plain(code).split('…');
  const at = program.indexOf(before);
  return at >= 0 && program.includes(after, at + before.length);
};

describe('the line of each library', () => {
  test('is there for every client that was tried, and for the official ones of Node and Python', () => {
    const official = ['openai', 'openai'];
    expect(rows.map(({ library }) => library).toSorted()).toEqual(
      [...official, ...new Set(LANES.map(({ client }) => client))].toSorted(),
    );
  });

  test.each(LANES)('of $name is in the program that tries it', (lane) => {
    const program = plain(readFileSync(join(CLIENTS_DIR, programOf(lane)), 'utf8'));
    const code = codeOf(lane.client);
    expect(code.filter((each) => !ENVIRONMENT.test(each) && !holds(program, each))).toEqual([]);
    const environment = code.filter((each) => ENVIRONMENT.test(each)).flatMap((each) => each.split(' '));
    expect(environment).toEqual(Object.entries(lane.env ?? {}).map((entry) => entry.join('=')));
    expect(code).not.toEqual([]);
  });
});

test('the address in refusals is that of the section about what there is not', () => {
  const { homepage } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { homepage: string };
  const [page, section = ''] = MIGRATING_URL.split('#');
  expect(page).toBe(`${homepage.replace('#readme', '')}/blob/main/docs/how-to/migrate-a-program.md`);
  const headings = [
    ...readFileSync(join(ROOT, 'docs/how-to/migrate-a-program.md'), 'utf8').matchAll(/^## (.+)$/gm),
  ];
  expect(headings.map(([, title = '']) => title.toLowerCase().replaceAll(' ', '-'))).toContain(section);
});

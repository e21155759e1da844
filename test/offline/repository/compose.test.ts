/**
 * docker-compose.yml without a container engine: its shape, and the sense it makes.
 *
 * What this does not prove: that the images exist and start. `test/live/compose.test.ts` runs our two services' commands.
 */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { COMMANDS } from '../../../cli/program.ts';
import { SEARCH_ATTRIBUTES } from '../../../protocol/temporal/names.ts';
import { COMPOSE_SCHEMA } from '../../support/compose-schema.ts';
import {
  COMPOSE_TEXT,
  interpolate,
  parseCompose,
  variablesOf,
  type ComposeFile,
} from '../../support/compose.ts';
import { ROOT } from '../../support/sources.ts';

const validate = new Ajv2020({ allErrors: true, strict: false }).compile(COMPOSE_SCHEMA);
const problems = (value: unknown): string[] =>
  validate(value) ? [] : (validate.errors ?? []).map((error) => `${error.instancePath} ${error.message}`);

/** The Compose Specification's own schema; its formats (durations, ports) are checked by ours. */
const SPEC = 'test/support/vendor/compose-spec';
const specText = readFileSync(join(ROOT, SPEC, 'compose-spec.json'), 'utf8');
const bySpec = new Ajv2020({ allErrors: true, strict: false, validateFormats: false }).compile(
  JSON.parse(specText) as object,
);

/** What Compose validates: the text with every variable filled in. */
const filled = (text: string): string =>
  interpolate(
    text,
    Object.fromEntries(variablesOf(text).flatMap(({ name, required }) => (required ? [[name, 'x']] : []))),
  );

const file = parseCompose() as ComposeFile;
const services = Object.entries(file.services);
const ours = services.filter(([, service]) => service.build !== undefined);
const read = (path: string): string => readFileSync(join(ROOT, path), 'utf8');

describe('docker-compose.yml', () => {
  test('has the shape of a compose file', () => {
    expect(problems(parseCompose(filled(COMPOSE_TEXT)))).toEqual([]);
  });

  test('is a compose file by the schema of the Compose Specification', () => {
    const digest = createHash('sha256').update(specText).digest('hex');
    expect(readFileSync(join(ROOT, SPEC, 'NOTICE.md'), 'utf8')).toContain(digest);
    bySpec(parseCompose(filled(COMPOSE_TEXT)));
    expect(bySpec.errors ?? []).toEqual([]);
  });

  test.each([
    ['an unknown key', (text: string) => text.replace('stop_grace_period:', 'stop_grace:')],
    ['an unknown section', (text: string) => `${text}\ncontainers: {}\n`],
    ['a condition that does not exist', (text: string) => text.replace('service_healthy', 'service_well')],
    ['a list in the place of a map', (text: string) => text.replace(/^volumes:$/m, 'volumes: []\nx-rest:')],
  ])('would be refused by that schema with %s', (_what, change) => {
    const changed = change(COMPOSE_TEXT);
    expect(changed).not.toBe(COMPOSE_TEXT);
    expect(bySpec(parseCompose(filled(changed)))).toBe(false);
  });

  test.each([
    ['an unknown key', (text: string) => text.replace('stop_grace_period:', 'stop_grace:')],
    ['a port open to everybody', (text: string) => text.replace("'127.0.0.1:8080:8080'", "'8080:8080'")],
    ['an image without a version', (text: string) => text.replace('temporalio/ui:2.49.1', 'temporalio/ui')],
    ['a health check without a limit', (text: string) => text.replace('      retries: 60\n', '')],
    ['a number in the environment', (text: string) => text.replace("DB_PORT: '5432'", 'DB_PORT: 5432')],
  ])('would be refused with %s', (_what, change) => {
    const changed = change(COMPOSE_TEXT);
    expect(changed).not.toBe(COMPOSE_TEXT);
    expect(problems(parseCompose(filled(changed)))).not.toEqual([]);
  });

  test('waits only for services that exist, in a way that they can fulfil', () => {
    const wrong = services.flatMap(([name, service]) =>
      Object.entries(service.depends_on ?? {}).flatMap(([other, { condition }]) => {
        const target = file.services[other];
        if (target === undefined) return [`${name} waits for ${other}, which does not exist`];
        if (condition === 'service_healthy' && target.healthcheck === undefined)
          return [`${name} waits for ${other} to be healthy, but it has no health check`];
        if (condition === 'service_completed_successfully' && !target.restart.startsWith('on-failure'))
          return [`${name} waits for the end of ${other}, which is started again and again`];
        return [];
      }),
    );
    expect(wrong).toEqual([]);
  });

  test('has no service that waits for itself', () => {
    const reaches = (from: string, seen = new Set<string>()): Set<string> => {
      for (const next of Object.keys(file.services[from]?.depends_on ?? {})) {
        if (seen.has(next)) continue;
        seen.add(next);
        reaches(next, seen);
      }
      return seen;
    };
    expect(services.map(([name]) => name).filter((name) => reaches(name).has(name))).toEqual([]);
  });

  test('checks the health of everything that stays, the Web UI aside', () => {
    const unchecked = services
      .filter(([, service]) => !service.restart.startsWith('on-failure') && service.healthcheck === undefined)
      .map(([name]) => name);
    expect(unchecked).toEqual(['temporal-ui']);
  });

  test('pins every image to a version, and one Temporal version for server and tools', () => {
    const tags = new Map(services.map(([, service]) => service.image.split(':') as [string, string]));
    for (const tag of tags.values()) expect(tag).toMatch(/^\d+\.\d+/);
    expect(tags.get('temporalio/server')).toBe(tags.get('temporalio/admin-tools'));
    const [major = 0, minor = 0] = (tags.get('temporalio/ui') ?? '').split('.').map(Number);
    expect(major * 1_000 + minor, 'the Web UI shows current details from 2.47 on').toBeGreaterThanOrEqual(
      2_047,
    );
    expect(tags.get('durable-runs')).toBe(JSON.parse(read('package.json')).version);
  });

  test('declares the volumes and networks it uses, and uses those it declares', () => {
    const networks = new Set(services.flatMap(([, service]) => service.networks));
    expect([...networks].toSorted()).toEqual(Object.keys(file.networks).toSorted());
    const named = services
      .flatMap(([, service]) => service.volumes ?? [])
      .map((volume) => volume.split(':')[0] ?? '')
      .filter((source) => !source.startsWith('.') && !source.startsWith('$'));
    expect([...new Set(named)].toSorted()).toEqual(Object.keys(file.volumes).toSorted());
  });

  test('mounts files that exist, its scripts executable', () => {
    const mounted = services
      .flatMap(([, service]) => service.volumes ?? [])
      .map((volume) => interpolate(volume, {}).split(':')[0] ?? '')
      .filter((source) => source.startsWith('./'));
    expect(mounted.length).toBeGreaterThan(3);
    expect(mounted.filter((source) => !existsSync(join(ROOT, source)))).toEqual([]);
    const scripts = mounted.filter((source) => source.endsWith('.sh'));
    expect(scripts.filter((source) => (statSync(join(ROOT, source)).mode & 0o111) === 0)).toEqual([]);
  });

  test('asks in deploy/env.example for everything it needs, and for nothing it does not read', () => {
    const example = read('deploy/env.example');
    const offered = [...example.matchAll(/^(?:# )?([A-Z_]+)=/gm)].map((match) => match[1]);
    const taken = services.flatMap(([, service]) =>
      Object.entries(service.environment ?? {}).flatMap(([name, value]) => (value === null ? [name] : [])),
    );
    const known = new Set([...variablesOf(COMPOSE_TEXT).map(({ name }) => name), ...taken]);
    const needed = variablesOf(COMPOSE_TEXT).flatMap(({ name, required }) => (required ? [name] : []));
    expect(needed.filter((name) => !offered.includes(name))).toEqual([]);
    expect(offered.filter((name) => name === undefined || !known.has(name))).toEqual([]);
  });

  test('keeps secrets out of the file: each comes from the environment and must be there', () => {
    const secret = /PASSWORD|PWD|_KEYS?$|DATABASE_URL/;
    const given = services.flatMap(([name, service]) =>
      Object.entries(service.environment ?? {})
        .filter(
          ([variable, value]) => secret.test(variable) && value !== null && !/\$\{[A-Z_]+:\?/.test(value),
        )
        .map(([variable]) => `${name}: ${variable}`),
    );
    expect(given).toEqual([]);
  });
});

describe('our services', () => {
  test('are the worker and the API, of one image', () => {
    expect(ours.map(([name]) => name)).toEqual(['worker', 'serve']);
    expect(new Set(ours.map(([, service]) => service.image)).size).toBe(1);
  });

  test('run commands that the CLI has', () => {
    const known = COMMANDS.map((command) => command.name);
    for (const [, service] of ours) expect(known).toContain(service.command?.[0]);
  });

  test('have no right they do not need', () => {
    for (const [, service] of ours) {
      expect(service.read_only).toBe(true);
      expect(service.cap_drop).toEqual(['ALL']);
      expect(service.security_opt).toContain('no-new-privileges:true');
    }
    expect(read('Dockerfile')).toMatch(/^USER node$/m);
  });

  test('do not know the passwords of others', () => {
    for (const [, service] of ours) {
      expect(JSON.stringify(service.environment)).not.toContain('POSTGRES_PASSWORD');
      expect(JSON.stringify(service.environment)).not.toContain('TEMPORAL_DB_PASSWORD');
    }
  });
});

describe('the image', () => {
  const stages = read('Dockerfile')
    .split(/^FROM /m)
    .slice(1);

  test('is built in two stages on one pinned glibc base', () => {
    const bases = stages.map((stage) => stage.split(/\s/)[0]);
    expect(bases).toHaveLength(2);
    expect(new Set(bases).size).toBe(1);
    expect(bases[0]).toMatch(/^node:22\.\d+\.\d+-bookworm-slim$/);
  });

  test('takes over only what runs', () => {
    const copied = [...(stages[1] ?? '').matchAll(/^COPY --from=build (.+)$/gm)].map((match) => match[1]);
    expect(copied.join(' ')).not.toMatch(/\btest\b|\bdocs\b|\.env/);
    expect(copied.some((line) => line?.includes('/app/dist'))).toBe(true);
  });

  test('is built without secrets, history and tests', () => {
    const ignored = read('.dockerignore').split('\n');
    for (const entry of ['.env', '.git', '.runs', 'node_modules', 'test']) expect(ignored).toContain(entry);
  });
});

describe('the jobs', () => {
  test('create exactly the search attributes that runs use', () => {
    const script = read('deploy/temporal-namespace.sh');
    const created = [...script.matchAll(/^attribute (\w+) (\w+)$/gm)].map((match) => [match[1], match[2]]);
    expect(Object.fromEntries(created)).toEqual(SEARCH_ATTRIBUTES);
  });

  test('give Temporal the settings without which it slows every run down', () => {
    const settings = parse(read('deploy/temporal-dynamic-config.yaml')) as Record<
      string,
      { value: unknown }[]
    >;
    expect(settings['history.transferProcessorMaxPollRPS']).toEqual([{ value: 1000 }]);
    const mounted = file.services['temporal']?.volumes?.[0]?.split(':')[1];
    expect(mounted).toBe(
      `/etc/temporal/${file.services['temporal']?.environment?.['DYNAMIC_CONFIG_FILE_PATH']}`,
    );
  });
});

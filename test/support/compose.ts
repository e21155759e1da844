/**
 * Reads docker-compose.yml as Compose would: merge keys resolved, `${…}` filled in from an environment.
 * Imported by the compose tests, offline and live.
 */
import { readFileSync } from 'node:fs';
import { parse } from 'yaml';
import { ROOT } from './sources.ts';
import { join } from 'node:path';

export interface ComposeService {
  image: string;
  build?: string;
  command?: string[];
  entrypoint?: string[];
  environment?: Record<string, string | null>;
  volumes?: string[];
  networks: string[];
  ports?: string[];
  depends_on?: Record<string, { condition: string }>;
  healthcheck?: { test: string[] };
  read_only?: boolean;
  cap_drop?: string[];
  security_opt?: string[];
  restart: string;
}

export interface ComposeFile {
  services: Record<string, ComposeService>;
  networks: Record<string, unknown>;
  volumes: Record<string, unknown>;
}

export const COMPOSE_TEXT = readFileSync(join(ROOT, 'docker-compose.yml'), 'utf8');

/** Not yet interpolated, and not yet checked. */
export const parseCompose = (text: string = COMPOSE_TEXT): unknown =>
  parse(text, { merge: true, strict: true });

const VARIABLE = /\$\{([A-Z_][A-Z0-9_]*)(?:(:-|:\?)([^}]*))?\}/g;

/** Fills `${X}`, `${X:-default}` and `${X:?message}`; the last throws when X is unset or empty, as Compose does. */
export const interpolate = (text: string, env: Record<string, string | undefined>): string =>
  text.replace(VARIABLE, (_all, variable: string, operator: string | undefined, rest: string | undefined) => {
    const value = env[variable];
    if (value !== undefined && value !== '') return value;
    if (operator === ':?') throw new Error(`required variable ${variable} is missing a value: ${rest ?? ''}`);
    return operator === ':-' ? (rest ?? '') : '';
  });

/** Names used in `${…}`, with the operator. */
export const variablesOf = (text: string): { name: string; required: boolean }[] =>
  [...text.matchAll(VARIABLE)].map((match) => ({ name: match[1] ?? '', required: match[2] === ':?' }));

/** A service's environment as its container would see it. */
export const containerEnv = (
  service: ComposeService,
  env: Record<string, string | undefined>,
): Record<string, string> => {
  const seen: Record<string, string> = {};
  for (const [name, value] of Object.entries(service.environment ?? {})) {
    const resolved = value === null ? env[name] : interpolate(value, env);
    if (resolved !== undefined) seen[name] = resolved;
  }
  return seen;
};

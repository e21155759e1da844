/**
 * JSON schema of the part of the Compose file format that docker-compose.yml uses, strict: a key that is not named here,
 * a number where text is wanted, a duration without a unit is an error. Written from the Compose specification; widen it
 * when the file needs more.
 */

const text = { type: 'string', minLength: 1 } as const;
const texts = { type: 'array', items: text, minItems: 1, uniqueItems: true } as const;
const duration = { type: 'string', pattern: '^(\\d+(us|ms|s|m|h))+$' } as const;
const name = '^[a-zA-Z0-9][a-zA-Z0-9._-]*$';

/** `null` = taken over from Compose's own environment, and left out when it is not there. */
const environment = {
  type: 'object',
  propertyNames: { pattern: '^[A-Z][A-Z0-9_]*$' },
  // YAML numbers and booleans are accepted by Compose, but `1.10` and `yes` do not mean what they look like.
  additionalProperties: { type: ['string', 'null'] },
} as const;

const dependsOn = {
  type: 'object',
  minProperties: 1,
  additionalProperties: {
    type: 'object',
    required: ['condition'],
    additionalProperties: false,
    properties: {
      condition: { enum: ['service_started', 'service_healthy', 'service_completed_successfully'] },
    },
  },
} as const;

const healthcheck = {
  type: 'object',
  required: ['test', 'interval', 'timeout', 'retries', 'start_period'],
  additionalProperties: false,
  properties: {
    test: {
      type: 'array',
      minItems: 2,
      items: text,
      prefixItems: [{ enum: ['CMD', 'CMD-SHELL'] }],
    },
    interval: duration,
    timeout: duration,
    start_period: duration,
    retries: { type: 'integer', minimum: 1 },
  },
} as const;

const service = {
  type: 'object',
  required: ['image', 'restart', 'networks'],
  additionalProperties: false,
  properties: {
    image: { type: 'string', pattern: '^[a-z0-9./-]+:[A-Za-z0-9._-]+$' },
    build: text,
    init: { type: 'boolean' },
    restart: { type: 'string', pattern: '^(no|always|unless-stopped|on-failure(:\\d+)?)$' },
    read_only: { type: 'boolean' },
    tmpfs: texts,
    cap_drop: texts,
    security_opt: texts,
    networks: texts,
    volumes: { type: 'array', items: { type: 'string', pattern: '^[^:]+:/[^:]+(:ro)?$' } },
    ports: {
      type: 'array',
      items: { type: 'string', pattern: '^\\d+\\.\\d+\\.\\d+\\.\\d+:\\d+:\\d+$' },
    },
    entrypoint: texts,
    command: texts,
    environment,
    depends_on: dependsOn,
    healthcheck,
    stop_grace_period: duration,
  },
} as const;

export const COMPOSE_SCHEMA = {
  $schema: 'https://json-schema.org/draft/2020-12/schema',
  type: 'object',
  required: ['name', 'services', 'networks', 'volumes'],
  additionalProperties: false,
  patternProperties: { '^x-': { type: 'object' } },
  properties: {
    name: { type: 'string', pattern: '^[a-z0-9][a-z0-9_-]*$' },
    services: { type: 'object', propertyNames: { pattern: name }, additionalProperties: service },
    networks: {
      type: 'object',
      propertyNames: { pattern: name },
      additionalProperties: {
        type: 'object',
        additionalProperties: false,
        properties: { internal: { type: 'boolean' } },
      },
    },
    volumes: {
      type: 'object',
      propertyNames: { pattern: name },
      additionalProperties: { type: 'object', maxProperties: 0 },
    },
  },
} as const;

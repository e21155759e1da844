/**
 * The environment variables that select a Temporal server.
 *
 * Rule: names only; the code that reads them decides what they mean. Imported by `app/` and the command line.
 */

/** A config file that does not exist: the user's profile (TLS, keys, another server) does not apply to a dev server. */
export const NO_FILE = '/nonexistent/durable-runs.toml';

/** Any of these means that the user has selected a Temporal server. */
export const TEMPORAL_CHOICE = ['TEMPORAL_ADDRESS', 'TEMPORAL_PROFILE', 'TEMPORAL_CONFIG_FILE'] as const;

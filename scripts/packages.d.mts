/** Types of `packages.mjs`, for tests. */
export const CLIENT: 'durable-runs';
export const SERVER: 'durable-runs-server';
export const CLIENT_ROOMS: readonly string[];
export const PEER_RANGES: Record<'durable-runs' | 'durable-runs-server', Record<string, string>>;

/** Public face of the HTTP layer: an app over any `RunsEngine`, its keys and limits, and a server for it. */
export { createApi, type Api, type ApiEnv, type ApiOptions, type RequestSeen } from './app.ts';
export { keyAuth, openAuth, type Authenticator } from './auth.ts';
export { hashKey, parseApiKeys, type ApiKey } from './keys.ts';
export { createLimiter, parseRates, type RateLimiter, type RatesPerMinute } from './limits.ts';
export { isLoopback, serveApi, type ServedApi, type ServeOptions } from './serve.ts';

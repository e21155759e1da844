/** Public entry of the HTTP layer: an app over any `RunsService`, its keys and limits, and a server for it. */
export { createApi, ROUTES, type Api, type ApiOptions } from './app.ts';
export { CONSOLE_ROUTES } from './console/console-routes.ts';
export { SESSION_LIMITS } from './sessions/session-rules.ts';
export { NO_PEOPLE, type Claims, type People, type ListedPerson } from './console/people.ts';
export type { ConsoleOptions, OidcProvider, TrustedProxy } from './console/types.ts';
export type { ApiEnv } from './serve-route.ts';
export type { RequestLogEntry } from './request-log.ts';
export { openApiDocument } from './openapi.ts';
export { keyAuth, openAuth, type Authenticator } from './auth.ts';
export { hashKey, parseApiKeys, type ApiKey } from './keys.ts';
export { createModelList, listConfiguredModels, type ListModels } from './models.ts';
export { parseOrigins } from './browser.ts';
export { createLimiter, parseRates, type RateLimiter, type RatesPerMinute } from './rate-limiter.ts';
export { isLoopback, serveApi, type ServedApi, type ServeOptions } from './serve.ts';
export type { TraceRequest } from './trace.ts';

/**
 * Imports a user's module by URL, including TypeScript on every Node version.
 *
 * Rule: Node's own loader loads JavaScript; the TypeScript compiler is loaded only for TypeScript.
 * Imported by the worker's loaders of tools and data converters.
 */
const isTypeScript = (url: string): boolean => /\.m?ts$/.test(new URL(url).pathname);

export const loadModule = async (url: string): Promise<Record<string, unknown>> => {
  if (!isTypeScript(url)) return (await import(url)) as Record<string, unknown>;
  const { tsImport } = await import('tsx/esm/api');
  const loaded = (await tsImport(url, import.meta.url)) as Record<string, unknown>;
  return unwrapped(loaded);
};

/**
 * A file in a package without "type": "module" is compiled to CommonJS, and its exports arrive as the default export.
 */
const unwrapped = (module: Record<string, unknown>): Record<string, unknown> => {
  const inner = module['default'];
  return typeof inner === 'object' && inner !== null && '__esModule' in inner ? { ...inner } : module;
};

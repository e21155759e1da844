/**
 * Imports a user's module by URL, including TypeScript on every Node version.
 *
 * Rule: Node's own loader loads JavaScript; the TypeScript compiler is loaded only for TypeScript.
 * Imported by the worker's loaders of tools and data converters.
 */
const isTypeScript = (url: string): boolean => /\.m?ts$/.test(new URL(url).pathname);

export const loadModule = async (url: string): Promise<Record<string, unknown>> => {
  if (!isTypeScript(url)) return (await import(url)) as Record<string, unknown>;
  // Not `tsImport`, which loads a second copy of every package below the file: undici refuses to be loaded twice so, and a worker
  // would hold Temporal's SDK twice.
  const [esm, cjs] = await Promise.all([import('tsx/esm/api'), import('tsx/cjs/api')]);
  const stopRequire = cjs.register();
  const stopImport = esm.register();
  try {
    return unwrapped((await import(url)) as Record<string, unknown>);
  } finally {
    await stopImport();
    stopRequire();
  }
};

/**
 * A file in a package without "type": "module" is compiled to CommonJS, and its exports arrive as the default export.
 */
const unwrapped = (module: Record<string, unknown>): Record<string, unknown> => {
  const inner = module['default'];
  return typeof inner === 'object' && inner !== null && '__esModule' in inner ? { ...inner } : module;
};

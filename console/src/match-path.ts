/** Patterns of paths. Rule: pure. Imported by the application. */
/** The parameters of a path by a pattern such as `/runs/:thread/:run?`; null = the path is another one. */
export const matchPath = (pattern: string, path: string): Record<string, string> | null => {
  const names = pattern.split('/').filter((part) => part !== '');
  const parts = path.split('/').filter((part) => part !== '');
  if (parts.length > names.length) return null;
  const params: Record<string, string> = {};
  for (const [index, name] of names.entries()) {
    const part = parts[index];
    if (name.startsWith(':')) {
      if (part === undefined) {
        if (name.endsWith('?')) continue;
        return null;
      }
      try {
        params[name.slice(1).replace('?', '')] = decodeURIComponent(part);
      } catch {
        return null;
      }
    } else if (name !== part) return null;
  }
  return params;
};

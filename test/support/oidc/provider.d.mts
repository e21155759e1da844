/** Types of `provider.mjs`: its library has none. */
export function startOidcProvider(options: {
  redirectUri: string;
  people: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  claimsInIdToken: boolean;
}): Promise<{ issuer: string; close: () => Promise<void> }>;

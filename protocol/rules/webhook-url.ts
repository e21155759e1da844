/**
 * Checks the URL of a webhook as text. The worker checks the address again when it connects.
 *
 * Rule: pure. Imported by the service and by tests.
 */
import { quote } from './validation.ts';

const MAX_URL = 2_048;

/** Why the URL can't be used, as the end of a sentence; null = it can. `plain`: `http:` is allowed, too. */
export const webhookUrlProblem = (text: string, { plain }: { plain: boolean }): string | null => {
  const protocols = plain ? ['https:', 'http:'] : ['https:'];
  if (text.length > MAX_URL) return `expected at most ${MAX_URL} characters, but got ${text.length} instead`;
  if (!URL.canParse(text))
    return `expected a URL such as 'https://example.com/hooks', but got ${quote(text)} instead`;
  const { protocol, username, password, hash } = new URL(text);
  if (!protocols.includes(protocol))
    return `expected ${protocols.map((item) => `'${item}'`).join(' or ')}, but got ${quote(protocol)} instead${
      protocol === 'http:' ? ': http is for networks that RUNS_WEBHOOK_NETWORKS lists' : ''
    }`;
  if (username !== '' || password !== '')
    return 'expected no user and no password: the signature proves who sends';
  return hash === '' ? null : 'expected no fragment';
};

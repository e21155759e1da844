/**
 * Decides whether a webhook may be sent to an address.
 *
 * Rule: everything but the public internet is refused, unless the operator lists it: an endpoint's URL is data, and the
 * worker may reach hosts that its author may not. Forms that hide an IPv4 address (mapped, NAT64, 6to4, Teredo) are no
 * public addresses here. Pure.
 * Imported by `connect-guard.ts`, the configuration and tests.
 */
import { BlockList, isIP, isIPv4 } from 'node:net';

/** IANA's special-purpose registries: what is not reachable from everywhere, and multicast. */
const SPECIAL_IPV4 = [
  '0.0.0.0/8',
  '10.0.0.0/8',
  '100.64.0.0/10',
  '127.0.0.0/8',
  '169.254.0.0/16',
  '172.16.0.0/12',
  '192.0.0.0/24',
  '192.0.2.0/24',
  '192.31.196.0/24',
  '192.52.193.0/24',
  '192.88.99.0/24',
  '192.168.0.0/16',
  '192.175.48.0/24',
  '198.18.0.0/15',
  '198.51.100.0/24',
  '203.0.113.0/24',
  '224.0.0.0/4',
  '240.0.0.0/4',
];
/** Global unicast; all else (loopback, link-local, unique local, mapped, NAT64, multicast) is outside. */
const GLOBAL_IPV6 = ['2000::/3'];
/** Protocol assignments and Teredo, benchmarks, documentation, 6to4. */
const SPECIAL_IPV6 = ['2001::/23', '2001:db8::/32', '2002::/16', '2620:4f:8000::/48', '3fff::/20'];

const MAPPED = /^::ffff:/i;

/** `10.0.0.0/8`, or one address; null = another form. */
const parseRange = (text: string): { address: string; bits: number } | null => {
  const [address = '', bits, ...rest] = text.split('/');
  const kind = isIP(address);
  const most = kind === 4 ? 32 : 128;
  if (kind === 0 || rest.length > 0 || (bits !== undefined && !/^\d{1,3}$/.test(bits))) return null;
  const length = bits === undefined ? most : Number(bits);
  return length > most ? null : { address, bits: length };
};

const listOf = (ranges: readonly { address: string; bits: number }[]): BlockList => {
  const list = new BlockList();
  for (const { address, bits } of ranges) list.addSubnet(address, bits, isIPv4(address) ? 'ipv4' : 'ipv6');
  return list;
};

const parsed = (ranges: readonly string[]): BlockList =>
  listOf(ranges.map(parseRange).filter((range) => range !== null));

const special4 = parsed(SPECIAL_IPV4);
const global6 = parsed(GLOBAL_IPV6);
const special6 = parsed(SPECIAL_IPV6);

/** Networks that an operator lists. */
export interface AllowedNetworks {
  has(address: string): boolean;
  readonly empty: boolean;
}

/** Ranges separated by commas or white space. Calls `refuse` with each entry that is none. */
export const parseNetworks = (text: string, refuse: (entry: string) => void): AllowedNetworks => {
  const entries = text.split(/[\s,]+/).filter((entry) => entry !== '');
  const ranges = entries.flatMap((entry) => {
    const range = parseRange(entry);
    if (range === null) refuse(entry);
    return range === null ? [] : [range];
  });
  const list = listOf(ranges);
  return {
    empty: ranges.length === 0,
    has: (address) => list.check(address, isIPv4(address) ? 'ipv4' : 'ipv6'),
  };
};

/**
 * Why nothing may be sent to this IP address; null = it may. `plain`: over `http:`, where only listed networks may be
 * reached.
 */
export const addressProblem = (
  address: string,
  allowed: Pick<AllowedNetworks, 'has'>,
  { plain }: { plain: boolean },
): string | null => {
  const [bare = ''] = address.split('%');
  const kind = isIP(bare);
  if (kind === 0) return `${JSON.stringify(address)} is no IP address`;
  // An operator who lists 10.0.0.0/8 means the mapped form, too.
  const inner = MAPPED.test(bare) ? bare.replace(MAPPED, '') : bare;
  if (allowed.has(bare) || (isIPv4(inner) && allowed.has(inner))) return null;
  const isPublic =
    kind === 4 ? !special4.check(bare, 'ipv4') : global6.check(bare, 'ipv6') && !special6.check(bare, 'ipv6');
  if (!isPublic) return `${bare} is no public address, and RUNS_WEBHOOK_NETWORKS does not list it`;
  return plain
    ? `${bare} may be reached over https only, since RUNS_WEBHOOK_NETWORKS does not list it`
    : null;
};

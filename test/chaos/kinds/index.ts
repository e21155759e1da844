/** All kinds of drills, by name. */
import { boundary } from './boundary.ts';
import { down, skew } from './deadline.ts';
import type { DrillKind } from './kind.ts';
import { frozen, kill } from './moments.ts';
import { late, native, zombie } from './native.ts';
import { network } from './network.ts';
import { point } from './point.ts';
import { race } from './race.ts';
import { api, embedded, postgres } from './servers.ts';
import { temporal } from './temporal.ts';

export const KINDS: readonly DrillKind[] = [
  point,
  kill,
  frozen,
  boundary,
  network,
  down,
  skew,
  temporal,
  race,
  native,
  zombie,
  late,
  postgres,
  api,
  embedded,
];

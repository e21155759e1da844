/**
 * What the large answers of one tenant hold that its clients have not taken yet.
 *
 * Rule: an answer counts until its connection is done with it, read or closed. A read that would exceed the tenant's part is
 * refused; an answer to a change is sent in any case, since a refusal would deny what has happened. Imports protocol only.
 */
import { apiErrors } from '../protocol/errors.ts';
import type { Connection } from './connection.ts';

/** Smaller answers are not counted: the kernel takes them at once. */
const SMALL_BYTES = 65_536;

export interface LargeAnswer {
  tenant: string;
  /** Of its text, in UTF-16 units: the adapter holds no more than three bytes for each. */
  size: number;
  /** Absent in process: nothing is held there. */
  connection: Connection | undefined;
  isRead: boolean;
}

/** Counts an answer before it is sent. Throws `ApiError` 429. */
export const createAnswerBudget = (maxSize: number): ((answer: LargeAnswer) => void) => {
  const tenants = new Map<string, number>();
  const add = (tenant: string, size: number): void => {
    const held = (tenants.get(tenant) ?? 0) + size;
    if (held === 0) tenants.delete(tenant);
    else tenants.set(tenant, held);
  };
  return ({ tenant, size, connection, isRead }) => {
    if (connection === undefined || connection.destroyed || size <= SMALL_BYTES) return;
    if (isRead && (tenants.get(tenant) ?? 0) + size > maxSize) throw apiErrors.tooMuchUnread(maxSize);
    add(tenant, size);
    connection.once('close', () => add(tenant, -size));
  };
};

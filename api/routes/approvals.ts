/** Routes of calls that wait for a person, over all runs. Rule: see `route.ts`. */
import { apiErrors } from '../../protocol/errors.ts';
import { quote } from '../../protocol/rules/validation.ts';
import { approvalBodySchema, approvalCommentSchema } from '../../protocol/wire/schemas.ts';
import { APPROVAL_EVENT_ID, type ApprovalStatus } from '../../protocol/wire/decisions.ts';
import { idParam, route } from '../route.ts';
import type { Route } from '../route.ts';
import { parseChoice, parseId, parsePage, parseTime } from '../validate.ts';

const STATUSES: readonly ApprovalStatus[] = ['waiting', 'decided', 'expired', 'cancelled'];

/** Where to continue: the header that a reconnecting EventSource adds to the URL, else `?after=`; null = from now on. */
const placeOf = (headers: Headers, query: Record<string, string>): string | null => {
  const header = headers.get('last-event-id');
  const [name, place] =
    header === null || header === '' ? ['after', query['after']] : ['Last-Event-ID', header];
  if (place === undefined) return null;
  if (APPROVAL_EVENT_ID.test(place)) return place;
  throw apiErrors.invalid(
    name,
    `Invalid '${name}': expected the id of an event of this stream, such as '741-1042', but got ${quote(place)} instead.`,
    'invalid_value',
  );
};

export const approvalRoutes: readonly Route[] = [
  route('GET', '/v1/approvals', {
    summary:
      'List calls that wait for an approval, the earliest deadline first (an extension of this server)',
    roles: ['approver', 'operator'],
    query: ['status', 'tool', 'assistant_id', 'thread_id', 'before_deadline', 'limit', 'after'],
    returns: { object: 'Approval', list: true },
    handle: async ({ engine, caller, query }) => {
      const { limit, after } = parsePage(query);
      const { status, tool, assistant_id: assistant, thread_id: thread, before_deadline: before } = query;
      return {
        json: await engine.listApprovals(caller, {
          limit,
          ...(after === undefined ? {} : { after }),
          ...(status === undefined ? {} : { status: parseChoice('status', status, STATUSES) }),
          ...(tool === undefined ? {} : { tool: parseId('tool', tool) }),
          ...(assistant === undefined ? {} : { assistantId: parseId('assistant_id', assistant) }),
          ...(thread === undefined ? {} : { threadId: parseId('thread_id', thread) }),
          ...(before === undefined ? {} : { beforeDeadline: parseTime('before_deadline', before) }),
        }),
      };
    },
  }),
  route('GET', '/v1/approvals/events', {
    summary: 'Follow approvals as they begin to wait and are decided (an extension of this server)',
    roles: ['approver', 'operator'],
    query: ['after'],
    returns: { object: 'ApprovalEvent', stream: true },
    handle: ({ engine, caller, query, headers }) => {
      const after = placeOf(headers, query);
      return Promise.resolve({
        stream: {
          until: 'closed',
          subscribe: (signal, admit) => engine.approvalEvents(caller, { after, signal, admit }),
        },
      });
    },
  }),
  route('GET', '/v1/approvals/{approval_id}', {
    summary: 'Read one approval with all that a person needs to decide (an extension of this server)',
    roles: ['approver', 'operator'],
    returns: { object: 'ApprovalDetails' },
    handle: async (input) => ({
      json: await input.engine.getApproval(input.caller, idParam(input, 'approval_id')),
    }),
  }),
  route('POST', '/v1/approvals/{approval_id}', {
    summary:
      'Approve or deny the call, with other arguments if need be, hand it over, or answer an external call (an extension of this server)',
    roles: ['approver'],
    body: approvalBodySchema,
    size: 'medium',
    returns: { object: 'Answer' },
    handle: async ({ engine, caller, body, ...input }) => {
      const id = idParam(input, 'approval_id');
      return {
        json:
          body.decision === 'answer'
            ? await engine.answerApproval(caller, id, body)
            : await engine.decideApproval(caller, id, body),
      };
    },
  }),
  route('POST', '/v1/approvals/{approval_id}/comments', {
    summary: 'Comment on the call; the model does not read it (an extension of this server)',
    roles: ['approver'],
    body: approvalCommentSchema,
    returns: { object: 'Approval' },
    handle: async (input) => ({
      json: await input.engine.commentApproval(input.caller, idParam(input, 'approval_id'), input.body),
    }),
  }),
];

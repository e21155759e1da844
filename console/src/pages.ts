/**
 * The table of pages: where each one is, what the navigation calls it, who may open it, and its module.
 *
 * Rule: a page is loaded when it is opened, so one page's size is not the others'. A page is a folder in `pages/` with a module
 * whose default export is its component. Imported by the application only.
 */
import type { ComponentType } from 'preact';
import { matchPath } from './match-path.ts';
import type { PageProps } from './page-props.ts';

export interface ConsolePage {
  /** Pattern below `/console`: `:name` takes one part, `:name?` may be absent. The first match wins. */
  path: string;
  /** Other addresses of the page, which links from outside name. */
  also?: readonly string[];
  /** Of the window, and the page's heading for screen readers. */
  title: string;
  /** Label in the navigation; null = reached by links only. */
  nav: string | null;
  /** Roles of which a person needs one; empty = everybody. */
  roles: readonly string[];
  load: () => Promise<{ default: ComponentType<PageProps> }>;
}

export const PAGES: readonly ConsolePage[] = [
  {
    path: '/inbox/:id?',
    // The link in webhooks: it names what it leads to, wherever the inbox stands.
    also: ['/approvals/:id'],
    title: 'Inbox',
    nav: 'Inbox',
    roles: ['approver', 'operator'],
    load: () => import('./pages/inbox/inbox-page.tsx'),
  },
  {
    path: '/runs',
    title: 'Runs',
    nav: 'Runs',
    roles: ['caller', 'operator'],
    load: () => import('./pages/runs/runs-page.tsx'),
  },
  {
    path: '/runs/:id',
    title: 'Run',
    nav: null,
    roles: ['caller', 'operator'],
    load: () => import('./pages/run/run-page.tsx'),
  },
  {
    path: '/overview',
    title: 'Overview',
    nav: 'Overview',
    roles: ['operator'],
    load: () => import('./pages/overview/overview-page.tsx'),
  },
  {
    path: '/playground',
    title: 'Playground',
    nav: 'Playground',
    roles: ['operator'],
    load: () => import('./pages/playground/playground-page.tsx'),
  },
  {
    path: '/deliveries',
    title: 'Deliveries',
    nav: 'Deliveries',
    roles: ['operator'],
    load: () => import('./pages/deliveries/deliveries-page.tsx'),
  },
  {
    path: '/webhooks',
    title: 'Webhooks',
    nav: 'Webhooks',
    roles: ['operator'],
    load: () => import('./pages/webhooks/webhooks-page.tsx'),
  },
];

/** The parameters of the page's address; null = the path is another page's. */
export const paramsAt = (
  { path, also = [] }: Pick<ConsolePage, 'path' | 'also'>,
  at: string,
): Record<string, string> | null => {
  for (const pattern of [path, ...also]) {
    const params = matchPath(pattern, at);
    if (params !== null) return params;
  }
  return null;
};

/** Where `/console` leads. */
export const START = '/inbox';

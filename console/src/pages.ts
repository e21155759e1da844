/**
 * The table of pages: where each one is, what the navigation calls it, who may open it, and its module.
 *
 * Rule: a page is loaded when it is opened, so one page's size is not the others'. A page is a folder in `pages/` with a module
 * whose default export is its component. Imported by the application only.
 */
import type { ComponentType } from 'preact';
import type { PageProps } from './page-props.ts';

export interface ConsolePage {
  /** Pattern below `/console`: `:name` takes one part, `:name?` may be absent. The first match wins. */
  path: string;
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
    title: 'Inbox',
    nav: 'Inbox',
    roles: ['approver', 'operator'],
    load: () => import('./pages/inbox/inbox-page.tsx'),
  },
  {
    // The link in webhooks: it names what it leads to, wherever the inbox stands.
    path: '/approvals/:id',
    title: 'Inbox',
    nav: null,
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

/** Where `/console` leads. */
export const START = '/inbox';

/** Counts beside the entries of the navigation, and the title of the window. Rule: a page sets its own. */
import { signal } from '@preact/signals';

/** By the path of the entry, such as `/inbox`; 0 shows nothing. */
export const badges = signal<Readonly<Record<string, number>>>({});

export const setBadge = (path: string, count: number): void => {
  if (badges.peek()[path] !== count) badges.value = { ...badges.peek(), [path]: count };
};

/** null = the title of the page's table. */
export const windowTitle = signal<string | null>(null);

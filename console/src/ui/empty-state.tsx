/** A page or a part of it that has nothing to show, and why. */
import type { ComponentChildren } from 'preact';

export const EmptyState = ({ title, children }: { title: string; children?: ComponentChildren }) => (
  <div class="empty-state">
    <h2>{title}</h2>
    {children === undefined ? null : <p class="muted">{children}</p>}
  </div>
);

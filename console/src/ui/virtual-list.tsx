/**
 * A list of which only the visible rows are in the document: thousands of rows cost as much as twenty.
 *
 * Rule: rows have one height. The active row is always in the document, so the focus in it is never lost; each row says its place
 * among all. Rows are drawn by `render`.
 */
import type { ComponentChildren } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import { drawnRows } from './drawn-rows.ts';

export interface VirtualListProps<T> {
  items: readonly T[];
  /** In pixels. */
  rowHeight: number;
  /** Names the list for a screen reader. */
  label: string;
  keyOf: (item: T) => string;
  render: (item: T, index: number) => ComponentChildren;
  /** This row is scrolled into view when it changes; -1 = none. */
  activeIndex?: number;
}

export const VirtualList = <T,>(props: VirtualListProps<T>) => {
  const { items, rowHeight, label, keyOf, render, activeIndex = -1 } = props;
  const element = useRef<HTMLDivElement>(null);
  const [view, setView] = useState({ top: 0, height: 800 });
  useEffect(() => {
    const box = element.current;
    if (box === null) return undefined;
    const measure = (): void => {
      const next = { top: box.scrollTop, height: box.clientHeight };
      setView((before) => (before.top === next.top && before.height === next.height ? before : next));
    };
    const sizes = new ResizeObserver(measure);
    sizes.observe(box);
    box.addEventListener('scroll', measure, { passive: true });
    return () => {
      sizes.disconnect();
      box.removeEventListener('scroll', measure);
    };
  }, []);
  useEffect(() => {
    const box = element.current;
    if (box === null || activeIndex < 0) return;
    const top = activeIndex * rowHeight;
    if (top < box.scrollTop) box.scrollTop = top;
    else if (top + rowHeight > box.scrollTop + box.clientHeight)
      box.scrollTop = top + rowHeight - box.clientHeight;
  }, [activeIndex, rowHeight]);
  return (
    <div class="virtual-list" ref={element}>
      <div
        role="list"
        aria-label={label}
        class="virtual-rows"
        style={{ height: `${items.length * rowHeight}px` }}
      >
        {drawnRows(items.length, { ...view, rowHeight, active: activeIndex }).map((index) => {
          const item = items[index];
          return item === undefined ? null : (
            <div
              key={keyOf(item)}
              role="listitem"
              aria-setsize={items.length}
              aria-posinset={index + 1}
              class="virtual-row"
              style={{ height: `${rowHeight}px`, transform: `translateY(${index * rowHeight}px)` }}
            >
              {render(item, index)}
            </div>
          );
        })}
      </div>
    </div>
  );
};

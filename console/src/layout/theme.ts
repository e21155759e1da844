/** Light, dark, or as the system says. Rule: the choice stays in this browser; `public/theme.js` applies it before the first paint. */
import { signal } from '@preact/signals';

export type Theme = 'system' | 'light' | 'dark';
const KEY = 'runs.theme';

const stored = (): Theme => {
  try {
    const value = localStorage.getItem(KEY);
    return value === 'light' || value === 'dark' ? value : 'system';
  } catch {
    return 'system';
  }
};

export const theme = signal<Theme>(stored());

export const chooseTheme = (chosen: Theme): void => {
  theme.value = chosen;
  if (chosen === 'system') delete document.documentElement.dataset['theme'];
  else document.documentElement.dataset['theme'] = chosen;
  try {
    if (chosen === 'system') localStorage.removeItem(KEY);
    else localStorage.setItem(KEY, chosen);
  } catch {
    // Storage is closed to the page: the choice lasts as long as the window.
  }
};

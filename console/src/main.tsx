/** Starts the console in its page. Rule: it is the only module with effects at import. */
import { render } from 'preact';
import { App } from './app.tsx';
import { readSession, watchSession } from './http/session.ts';
import { followLinks } from './router.ts';
import './styles/tokens.css';
import './styles/base.css';
import './styles/ui.css';
import './styles/layout.css';
import './styles/runs.css';

const root = document.querySelector('#app');
if (root !== null) {
  followLinks();
  watchSession();
  void readSession();
  render(<App />, root);
}

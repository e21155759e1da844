/** How a person says who they are. Rule: a key goes to the server once and is kept nowhere; the session's cookie is out of reach here. */
import type { TargetedInputEvent } from 'preact';
import { useState } from 'preact/hooks';
import { problemText } from '../http/api.ts';
import type { SignInWay } from '../../../protocol/wire/console-session.ts';
import { signIn } from '../http/session.ts';
import { Button } from '../ui/button.tsx';

interface FormProps {
  method: 'name' | 'key';
  onProblem: (problem: string | null) => void;
}

const FIELDS = {
  name: {
    label: 'Your name',
    help: 'Your decisions carry it. This server takes requests of this computer only.',
    button: 'Continue',
  },
  key: {
    label: 'API key',
    help: 'A key of role approver or operator. It is exchanged for a session, and the page forgets it.',
    button: 'Sign in',
  },
} as const;

const SignInForm = ({ method, onProblem }: FormProps) => {
  const [value, setValue] = useState('');
  const [busy, setBusy] = useState(false);
  const field = FIELDS[method];
  const submit = async (): Promise<void> => {
    if (value.trim() === '') return;
    setBusy(true);
    onProblem(null);
    try {
      await signIn(method === 'key' ? { key: value.trim() } : { name: value.trim() });
    } catch (error) {
      onProblem(problemText(error));
    } finally {
      setBusy(false);
    }
  };
  const input = {
    name: method,
    value,
    'aria-describedby': `sign-in-${method}-help`,
    onInput: (event: TargetedInputEvent<HTMLInputElement>) => setValue(event.currentTarget.value),
  };
  return (
    <form
      class="sign-in-form"
      onSubmit={(event) => {
        event.preventDefault();
        void submit();
      }}
    >
      <label class="field">
        <span class="field-label">{field.label}</span>
        {method === 'key' ? (
          <input {...input} type="password" autoComplete="current-password" maxLength={512} />
        ) : (
          <input {...input} type="text" autoComplete="name" maxLength={64} />
        )}
        <span class="field-help" id={`sign-in-${method}-help`}>
          {field.help}
        </span>
      </label>
      <Button kind="primary" type="submit" busy={busy}>
        {field.button}
      </Button>
    </form>
  );
};

export const SignIn = ({ methods, ended }: { methods: readonly SignInWay[]; ended: boolean }) => {
  const [problem, setProblem] = useState<string | null>(null);
  const forms = methods.filter((method) => method === 'name' || method === 'key');
  return (
    <main class="sign-in">
      <div class="sign-in-card">
        <h1>{ended ? 'Your session has ended' : 'Sign in'}</h1>
        {ended ? <p class="muted">Sign in again: the page comes back where you left it.</p> : null}
        {methods.includes('oidc') ? (
          <a
            class="button button-primary"
            href={`/console/oidc/login?return_to=${encodeURIComponent(location.pathname + location.search)}`}
          >
            Sign in with your organization
          </a>
        ) : null}
        {forms.map((method) => (
          <SignInForm key={method} method={method} onProblem={setProblem} />
        ))}
        {methods.includes('header') && forms.length === 0 && !methods.includes('oidc') ? (
          <p>The proxy in front of this server signs people in. It sent no name with this request.</p>
        ) : null}
        <p class="problem" role="alert">
          {problem}
        </p>
      </div>
    </main>
  );
};

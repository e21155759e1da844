/**
 * A real OpenID provider on this machine, by the library oidc-provider, whose people the test names.
 *
 * Rule: everyone who says a name is let in: the test is about what the client does with it. Imported by live tests.
 */
import { createServer } from 'node:http';
import { Provider } from 'oidc-provider';

/** `redirectUri`: of the client. `people`: claims by account id. `claimsInIdToken`: else userinfo has them alone. */
export async function startOidcProvider({ redirectUri, people, claimsInIdToken }) {
  const server = createServer();
  await new Promise((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  const issuer = `http://127.0.0.1:${server.address().port}`;
  const provider = new Provider(issuer, {
    clients: [
      { client_id: 'runs', client_secret: 'secret-of-runs', redirect_uris: [redirectUri] },
      {
        client_id: 'public',
        token_endpoint_auth_method: 'none',
        redirect_uris: [redirectUri],
      },
    ],
    claims: { openid: ['sub', 'groups', 'realm'], email: ['email', 'email_verified'], profile: ['upn'] },
    conformIdTokenClaims: !claimsInIdToken,
    cookies: { keys: ['key-of-cookies'] },
    pkce: { required: () => true },
    findAccount: (_context, id) => {
      const claims = people[id];
      return claims === undefined
        ? undefined
        : { accountId: id, claims: () => Promise.resolve({ sub: id, ...claims }) };
    },
    interactions: { url: (_context, { uid }) => `/interaction/${uid}` },
    features: { devInteractions: { enabled: false } },
  });
  const answer = provider.callback();
  server.on('request', (request, response) => {
    if (!request.url.startsWith('/interaction/')) return answer(request, response);
    return decide(provider, request, response);
  });
  return {
    issuer,
    close: () =>
      new Promise((resolve) => {
        server.close(resolve);
        server.closeAllConnections();
      }),
  };
}

/** Signs in the account of the header `x-account`, and agrees to everything. */
async function decide(provider, request, response) {
  const { prompt, params, session } = await provider.interactionDetails(request, response);
  if (prompt.name === 'login') {
    const accountId = request.headers['x-account'];
    const result =
      accountId === undefined
        ? { error: 'access_denied', error_description: 'The person said no.' }
        : { login: { accountId } };
    return provider.interactionFinished(request, response, result, { mergeWithLastSubmission: false });
  }
  const grant = new provider.Grant({ accountId: session.accountId, clientId: params.client_id });
  grant.addOIDCScope(params.scope);
  const grantId = await grant.save();
  return provider.interactionFinished(
    request,
    response,
    { consent: { grantId } },
    { mergeWithLastSubmission: true },
  );
}

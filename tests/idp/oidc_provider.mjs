// A real OpenID provider (npm oidc-provider). It registers clients as Curity does: a token with the scope `dcr` registers
// one client, one with `dcrm` manages any client, and whoever manages a client gives it a new secret. Its access tokens
// are JSON Web Tokens where a resource is asked for, opaque otherwise and for resources that begin with `urn:opaque:`.
// Whoever signs in is the person whom a test named, and is asked nothing.
//
// Usage: node oidc_provider.mjs MODULES PORT CLIENT_ID CLIENT_SECRET
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

const [modules, port, clientId, clientSecret] = process.argv.slice(2);
const resolved = createRequire(`${modules}/`).resolve('oidc-provider');
const { Provider } = await import(pathToFileURL(resolved));

// What is kept, by model and id; it outlives a rotation.
const kept = new Map();
class Adapter {
  constructor(model) {
    this.of = kept.get(model) ?? kept.set(model, new Map()).get(model);
  }
  async upsert(id, payload) {
    this.of.set(id, payload);
  }
  async find(id) {
    return this.of.get(id);
  }
  async findByUid(uid) {
    return [...this.of.values()].find((payload) => payload.uid === uid);
  }
  async findByUserCode() {}
  async consume(id) {
    this.of.get(id).consumed = Math.floor(Date.now() / 1000);
  }
  async destroy(id) {
    this.of.delete(id);
  }
  async revokeByGrantId() {}
}

const pairs = {
  RS: () => generateKeyPairSync('rsa', { modulusLength: 2048 }),
  PS: () => generateKeyPairSync('rsa', { modulusLength: 2048 }),
  ES256: () => generateKeyPairSync('ec', { namedCurve: 'P-256' }),
  ES384: () => generateKeyPairSync('ec', { namedCurve: 'P-384' }),
  ES512: () => generateKeyPairSync('ec', { namedCurve: 'P-521' }),
  EdDSA: () => generateKeyPairSync('ed25519'),
};
function newKey(alg) {
  const { privateKey } = (pairs[alg] ?? pairs[alg.slice(0, 2)])();
  return { ...privateKey.export({ format: 'jwk' }), alg, use: 'sig', kid: randomBytes(8).toString('hex') };
}

// The first is signed with, all are published.
let keys = [newKey('RS256')];
// What a test said the next answers are to be like: `ttl` of tokens in seconds, `claims` by client, and `jwks`: the
// `headers` of the key set, and a `body` in place of it.
// `person`: who signs in, by claim, or none; `elsewhere`: claims that the ID token leaves out and `/me` tells; `replay`: the
// ID token of the sign-in before is given out again.
let manner = { ttl: 600, claims: {}, jwks: {}, person: undefined, elsewhere: [], replay: false };

const algorithms = ['RS', 'PS', 'ES'].flatMap((family) => [`${family}256`, `${family}384`, `${family}512`]);
algorithms.push('EdDSA');
const issuer = `http://127.0.0.1:${port}`;
function build() {
  const [{ alg, kid }] = keys;
  const provider = new Provider(issuer, {
    adapter: Adapter,
    jwks: { keys },
    enabledJWA: { idTokenSigningAlgValues: algorithms },
    clientDefaults: { id_token_signed_response_alg: alg },
    clients: [{
      client_id: clientId,
      client_secret: clientSecret,
      grant_types: ['client_credentials'],
      response_types: [],
      redirect_uris: [],
      scope: 'dcr dcrm',
    }],
    scopes: ['openid', 'offline_access', 'dcr', 'dcrm'],
    claims: {
      openid: ['sub', 'roles', 'realm_access'],
      profile: ['preferred_username'],
      email: ['email', 'email_verified'],
    },
    conformIdTokenClaims: false,
    findAccount: async (ctx, sub) => ({ accountId: sub, claims: async (use) => claimsFor(use, sub) }),
    loadExistingGrant: async (ctx) => {
      const { session, client, params } = ctx.oidc;
      const grant = new provider.Grant({ clientId: client.clientId, accountId: session.accountId });
      grant.addOIDCScope(params.scope);
      await grant.save();
      return grant;
    },
    interactions: { url: (ctx, interaction) => `/interaction/${interaction.uid}` },
    extraTokenClaims: async (ctx, token) => manner.claims[token.clientId],
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      introspection: { enabled: true },
      registration: { enabled: true, initialAccessToken: true },
      registrationManagement: { enabled: true, rotateRegistrationAccessToken: true },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => undefined,
        getResourceServerInfo: async (ctx, resource) => ({
          scope: ctx.oidc.params.scope ?? '',
          audience: resource,
          accessTokenTTL: manner.ttl,
          accessTokenFormat: resource.startsWith('urn:opaque:') ? 'opaque' : 'jwt',
          jwt: { sign: { alg, kid } },
        }),
      },
    },
  });
  provider.use((ctx, next) => attend(provider, ctx, next));
  return { provider, answer: provider.callback() };
}

function claimsFor(use, sub) {
  const told = Object.entries({ ...manner.person, sub });
  return Object.fromEntries(told.filter(([name]) => use !== 'id_token' || !manner.elsewhere.includes(name)));
}

// The ID token that was given out last.
let lastIdToken;

// What the next calls come to: `{name, method, path}`, set by a test.
let fault;
const calls = [];

function refuse(ctx, error) {
  ctx.status = 401;
  ctx.body = { error, error_description: 'the token does not allow it' };
}

async function tokenOf(provider, ctx) {
  const [, value] = (ctx.get('authorization') ?? '').split(' ');
  return value && provider.ClientCredentials.find(value);
}

async function attend(provider, ctx, next) {
  calls.push({ method: ctx.method, path: ctx.path });
  const faulty = fault && ['ANY', ctx.method].includes(fault.method) && ctx.path.startsWith(fault.path);
  if (faulty && fault.name === 'hang') await new Promise(() => {});
  if (faulty && fault.name === 'fail') {
    ctx.status = 500;
    ctx.body = { error: 'server_error', error_description: 'oops! something went wrong' };
    return;
  }
  const managed = ctx.path.match(/^\/reg\/(.+)$/)?.[1];
  if (ctx.path === '/reg') {
    const token = await tokenOf(provider, ctx);
    if (!token?.scope?.split(' ').includes('dcr')) return refuse(ctx, 'invalid_token');
    await token.destroy();
    ctx.req.headers.authorization = `Bearer ${await new provider.InitialAccessToken({}).save()}`;
  } else if (managed) {
    const token = await tokenOf(provider, ctx);
    if (!token?.scope?.split(' ').includes('dcrm')) return refuse(ctx, 'invalid_token');
    const registration = new provider.RegistrationAccessToken({ clientId: managed });
    ctx.req.headers.authorization = `Bearer ${await registration.save()}`;
    const client = kept.get('Client')?.get(managed);
    if (client && ctx.method !== 'DELETE') {
      kept.get('Client').set(managed, { ...client, client_secret: randomBytes(24).toString('base64url') });
    }
  }
  if (ctx.path.startsWith('/interaction/')) {
    const result = manner.person ? { login: { accountId: manner.person.sub } } : { error: 'access_denied' };
    ctx.respond = false;
    return provider.interactionFinished(ctx.req, ctx.res, result, { mergeWithLastSubmission: false });
  }
  await next();
  if (ctx.path === '/token' && ctx.body?.id_token) {
    [ctx.body.id_token, lastIdToken] = [manner.replay ? lastIdToken : ctx.body.id_token, ctx.body.id_token];
  }
  if (ctx.method === 'GET' && ctx.path === '/jwks') {
    ctx.set(manner.jwks.headers ?? {});
    ctx.body = manner.jwks.body ?? ctx.body;
  }
  if (faulty && fault.name === 'apply-and-hang') await new Promise(() => {});
  if (faulty && fault.name === 'apply-and-cut') ctx.res.destroy();
}

let current = build();

// What tests say: `/test/...`, arguments in the query, a body of JSON.
const controls = {
  fault: (query) => {
    fault = query.name ? query : undefined;
  },
  calls: () => calls.splice(0),
  clients: () => [...(kept.get('Client')?.values() ?? [])],
  client: (query, body) => {
    new Adapter('Client').upsert(body.client_id, body);
  },
  forget: ({ token }) => new Adapter('ClientCredentials').destroy(token),
  rotate: ({ alg, keep }) => {
    keys = [newKey(alg), ...(keep === 'true' ? keys : [])];
    current = build();
    return keys[0].kid;
  },
  manner: (query, body) => {
    manner = { ...manner, ...body };
  },
};

async function control(req, res, url) {
  const chunks = [];
  for await (const chunk of req) chunks.push(chunk);
  const body = chunks.length ? JSON.parse(Buffer.concat(chunks)) : undefined;
  const answer = await controls[url.pathname.slice('/test/'.length)](Object.fromEntries(url.searchParams), body);
  res.setHeader('content-type', 'application/json');
  res.end(JSON.stringify(answer ?? {}));
}

const server = createServer((req, res) => {
  const url = new URL(req.url, issuer);
  if (!url.pathname.startsWith('/test/')) return current.answer(req, res);
  return control(req, res, url).catch((error) => {
    res.statusCode = 400;
    res.end(JSON.stringify({ error: String(error) }));
  });
});
server.keepAliveTimeout = 1000;
server.listen(Number(port), '127.0.0.1', () => console.log(`listening on ${issuer}`));

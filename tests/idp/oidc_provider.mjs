// A real OpenID provider (npm oidc-provider) with dynamic client registration as Curity has it: a token with the scope
// `dcr` registers one client, one with `dcrm` manages any client, and whoever manages a client gives it a new secret.
//
// Usage: node oidc_provider.mjs MODULES PORT CLIENT_ID CLIENT_SECRET
import { randomBytes } from 'node:crypto';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

const [modules, port, clientId, clientSecret] = process.argv.slice(2);
const resolved = createRequire(`${modules}/`).resolve('oidc-provider');
const { Provider } = await import(pathToFileURL(resolved));

// What is kept, by model and id.
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
  async findByUid() {}
  async findByUserCode() {}
  async consume(id) {
    this.of.get(id).consumed = Math.floor(Date.now() / 1000);
  }
  async destroy(id) {
    this.of.delete(id);
  }
  async revokeByGrantId() {}
}

const issuer = `http://127.0.0.1:${port}`;
const provider = new Provider(issuer, {
  adapter: Adapter,
  clients: [{
    client_id: clientId,
    client_secret: clientSecret,
    grant_types: ['client_credentials'],
    response_types: [],
    redirect_uris: [],
    scope: 'dcr dcrm',
  }],
  scopes: ['openid', 'offline_access', 'dcr', 'dcrm'],
  features: {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    introspection: { enabled: true },
    registration: { enabled: true, initialAccessToken: true },
    registrationManagement: { enabled: true, rotateRegistrationAccessToken: true },
  },
});

// What the next calls come to: `{name, method, path}`, set by a test.
let fault;
const calls = [];

function refuse(ctx, error) {
  ctx.status = 401;
  ctx.body = { error, error_description: 'the token does not allow it' };
}

async function tokenOf(ctx) {
  const [, value] = (ctx.get('authorization') ?? '').split(' ');
  return value && provider.ClientCredentials.find(value);
}

provider.use(async (ctx, next) => {
  if (ctx.path === '/test/fault') {
    fault = ctx.query.name ? { ...ctx.query } : undefined;
    ctx.body = {};
    return;
  }
  if (ctx.path === '/test/calls') {
    ctx.body = calls.splice(0);
    return;
  }
  if (ctx.path === '/test/clients') {
    ctx.body = [...(kept.get('Client')?.values() ?? [])];
    return;
  }
  calls.push({ method: ctx.method, path: ctx.path });
  const faulty = fault && fault.method === ctx.method && ctx.path.startsWith(fault.path);
  if (faulty && fault.name === 'hang') await new Promise(() => {});
  if (faulty && fault.name === 'fail') {
    ctx.status = 500;
    ctx.body = { error: 'server_error', error_description: 'oops! something went wrong' };
    return;
  }
  const managed = ctx.path.match(/^\/reg\/(.+)$/)?.[1];
  if (ctx.path === '/reg') {
    const token = await tokenOf(ctx);
    if (!token?.scope?.split(' ').includes('dcr')) return refuse(ctx, 'invalid_token');
    await token.destroy();
    ctx.req.headers.authorization = `Bearer ${await new provider.InitialAccessToken({}).save()}`;
  } else if (managed) {
    const token = await tokenOf(ctx);
    if (!token?.scope?.split(' ').includes('dcrm')) return refuse(ctx, 'invalid_token');
    const registration = new provider.RegistrationAccessToken({ clientId: managed });
    ctx.req.headers.authorization = `Bearer ${await registration.save()}`;
    const client = kept.get('Client')?.get(managed);
    if (client && ctx.method !== 'DELETE') {
      kept.get('Client').set(managed, { ...client, client_secret: randomBytes(24).toString('base64url') });
    }
  }
  await next();
  if (faulty && fault.name === 'apply-and-hang') await new Promise(() => {});
  if (faulty && fault.name === 'apply-and-cut') ctx.res.destroy();
});

const server = provider.listen(Number(port), '127.0.0.1', () => console.log(`listening on ${issuer}`));
server.keepAliveTimeout = 1000;

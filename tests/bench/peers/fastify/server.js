// SPDX-License-Identifier: MIT
// The benchmark's endpoints on Fastify: schemas in and out, no log. node server.js PORT
import jwt from '@fastify/jwt';
import Fastify from 'fastify';

const user = {
  type: 'object',
  additionalProperties: false,
  required: ['email', 'name', 'role', 'age'],
  properties: {
    email: { type: 'string', format: 'email', maxLength: 254 },
    name: { type: 'string', minLength: 1, maxLength: 100, pattern: '^[a-zA-Z\\s]+$' },
    role: { type: 'string', enum: ['user', 'editor'] },
    age: { type: 'integer', minimum: 0, maximum: 150 },
  },
};
const created = {
  type: 'object',
  properties: {
    email: { type: 'string' }, name: { type: 'string' }, role: { type: 'string' }, age: { type: 'integer' }, id: { type: 'integer' },
  },
};

// No conversion, and unknown fields refused rather than dropped: the rules of the other servers.
const app = Fastify({ logger: false, ajv: { customOptions: { coerceTypes: false, removeAdditional: false } } });

app.setErrorHandler((error, request, reply) => {
  if (error.statusCode === 401) reply.header('www-authenticate', 'Bearer realm="api"');
  reply.code(error.validation ? 422 : error.statusCode ?? 500).send({ detail: error.validation ?? error.message });
});
app.get('/plain', (request, reply) => reply.type('text/plain').send('Hello, world!\n'));
app.route({
  method: ['PUT', 'PATCH', 'DELETE'], url: '/plain',
  handler: (request, reply) => reply.code(405).header('allow', 'GET').send({ detail: 'Method Not Allowed' }),
});
app.post('/users', { schema: { body: user, response: { 201: created } } }, async (request, reply) => {
  reply.code(201);
  return { ...request.body, id: 1 };
});
app.post('/users/bulk', {
  schema: { body: { type: 'array', items: user, maxItems: 10000 }, response: { 201: { type: 'array', items: created } } },
}, async (request, reply) => {
  reply.code(201);
  return request.body.map((one, index) => ({ ...one, id: index + 1 }));
});

// Verified anew for each request, as the plugin does unless it is told to remember.
const users = new Map([['7', { id: 7, email: 'ada@example.com', name: 'Ada Lovelace', role: 'editor', age: 36 }]]);
app.register(jwt, { secret: process.env.JWT_SECRET, verify: { algorithms: ['HS256'], requiredClaims: ['exp', 'sub'] } });
const authenticate = async (request) => request.jwtVerify();
const admin = async (request, reply) => {
  if (!request.user.roles?.includes('admin')) return reply.code(403).send({ detail: 'Forbidden' });
};
app.get('/me', { onRequest: authenticate, schema: { response: { 200: created } } }, async (request, reply) =>
  users.get(request.user.sub) ?? reply.code(401).send({ detail: 'User not found' }));
app.get('/admin', { onRequest: [authenticate, admin], schema: { response: { 200: created } } }, async () => users.get('7'));

await app.listen({ host: '127.0.0.1', port: Number(process.argv[2]) });

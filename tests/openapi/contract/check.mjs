// SPDX-License-Identifier: MIT
// check.mjs NAME URL [--seed NUMBER] [--cases NUMBER] [--only TEXT] [--say FROM=>TO]: whether
// a server does what its document says, by requests that are made from the
// document. Prints TAP, a line for each operation.
//   --cases  requests for each operation (60)
//   --only   operations whose name holds it
//   --say    reads the document with FROM written as TO, to show that a false one is found out
//   API_KEY  (environment) sent where an API key will do; TOKEN likewise for a bearer token
import { parseArgs } from "node:util";
import { statedFor } from "./differences.mjs";
import { Oracle } from "./oracle.mjs";
import { Random, seedOf } from "./random.mjs";
import { BYTES, carries, Client, FORM_BODY, JSON_BODY, operations, requestOf, sitesOf, texts } from "./requests.mjs";
import { plain, Values } from "./values.mjs";

const OPTIONS = { seed: { type: "string" }, cases: { type: "string" }, only: { type: "string" }, say: { type: "string" } };
const { values: options, positionals: [name, url] } = parseArgs({ options: OPTIONS, allowPositionals: true });
const seed = Number(options.seed ?? 1), cases = Number(options.cases ?? 60);
const SHOWN = 3; // findings of one operation; the others are counted

async function documentOf(client) {
  const reply = await client.send({ method: "GET", target: "/openapi.json" });
  if (reply.status !== 200) throw new Error(`GET /openapi.json answers ${reply.status}`);
  const [from, to] = options.say?.split("=>") ?? [];
  if (from && !reply.body.includes(from)) throw new Error(`the document does not hold ${from}`);
  return JSON.parse(from ? reply.body.replaceAll(from, to) : reply.body);
}

// ---- what the document says of a request ----

const INTEGER = /^-?(?:0|[1-9]\d*)$/, NUMBER = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/;

// A text as the value that its schema makes of it.
function decode(values, oracle, given, text) {
  const schema = values.resolve(given);
  for (const value of schema.enum ?? [schema.const]) if (String(value) === text) return value;
  for (const member of schema.anyOf ?? schema.oneOf ?? []) {
    const value = decode(values, oracle, member, text);
    if (oracle.errors(member, value).length === 0) return value;
  }
  const types = [schema.type].flat();
  if ((types.includes("integer") && INTEGER.test(text)) || (types.includes("number") && NUMBER.test(text))) return Number(text);
  if (types.includes("boolean") && (text === "true" || text === "false")) return text === "true";
  return text;
}

function said(values, oracle, { site, texts: list, value }) {
  if (!site.text) return plain(value);
  if (site.media === BYTES) return Buffer.from(list[0]).toString("latin1"); // lengths are in bytes
  return site.schema.type === "array" ? list.map((text) => decode(values, oracle, site.schema.items, text)) : decode(values, oracle, site.schema, list[0]);
}

// Ajv's errors on all parts of a request; for what is missing one without Ajv.
function objections(values, oracle, operation, sites, given) {
  const found = [];
  for (const site of sites) {
    const here = given.find((part) => part.site === site);
    if (!here && site.required) found.push({ keyword: "required", site, operation: operation.path });
    if (!here) continue;
    for (const error of oracle.errors(site.schema, said(values, oracle, here))) found.push({ ...error, site, operation: operation.path });
  }
  return found;
}

// ---- requests ----

function part(site, value) {
  const list = site.in === "body" && !site.text ? undefined : texts(value);
  return list && !carries(site, list) ? undefined : { site, value, texts: list };
}

// Mostly values for all that is required and some of the rest, and in every second request one of them with something wrong.
function makeCase(values, sites) {
  const { random } = values, given = [];
  const wrong = sites.length > 0 && random.chance(0.5) ? random.pick(sites) : undefined;
  for (const site of sites) {
    const chosen = site === wrong || site.required || random.chance(0.6);
    if (!chosen || (site === wrong && site.in !== "path" && random.chance(0.1))) continue;
    let value = values.good(site.schema);
    if (site === wrong) for (let changes = random.chance(0.1) ? 2 : 1; changes > 0; changes--) value = values.mutant(site.schema, value);
    if (site.text && Array.isArray(value) && (site.schema.type !== "array" || value.length === 0)) continue;
    const made = part(site, value);
    if (made) given.push(made);
    else if (site.in === "path") return undefined;
  }
  return given.length === sites.length || !sites.some((site) => site.in === "path" && !given.some((one) => one.site === site)) ? given : undefined;
}

function credentials(document, operation) {
  const schemes = document.components.securitySchemes ?? {};
  for (const requirement of operation.said.security ?? []) {
    const scheme = schemes[Object.keys(requirement)[0]];
    if (scheme?.type === "apiKey" && scheme.in === "header" && process.env.API_KEY) return { [scheme.name]: process.env.API_KEY };
    if (["oauth2", "http"].includes(scheme?.type) && process.env.TOKEN) return { Authorization: `Bearer ${process.env.TOKEN}` };
  }
  return {};
}

// ---- what came back ----

const detailOf = (reply) => {
  try {
    return JSON.parse(reply.body).detail;
  } catch {
    return undefined;
  }
};

// Whether the request was refused for what it holds; what a handler says "on purpose" is none.
function isRefused(reply) {
  return [400, 415, 422].includes(reply.status) && detailOf(reply) !== "on purpose";
}

// The value that an error speaks of: labels of union members lead nowhere and are passed over.
function valueAt(given, location) {
  const [source, ...rest] = location;
  let value = source === "body" ? given.find((one) => one.site.in === "body" && !one.site.text)?.value : undefined;
  if (value === undefined) {
    const here = given.find((one) => one.site.in === (source === "body" ? one.site.in : source) && (one.site.name === rest[0] || one.site.in === "body"));
    return here && typeof rest[1] === "number" ? here.texts[rest[1]] : here?.texts[0];
  }
  for (const step of rest) if (value !== null && typeof value === "object" && Object.hasOwn(value, step)) value = value[step];
  return value;
}

const ALTERNATIVES = ["anyOf", "oneOf"];

// Ajv's errors that no stated difference covers. Of alternatives one has to do: it is enough when one has no other errors.
function unstated(oracle, way, errors, stated) {
  const unions = errors.filter((error) => ALTERNATIVES.includes(error.keyword));
  const beside = errors.filter((error) => !unions.some((union) => error.site === union.site && error.instancePath.startsWith(union.instancePath)));
  const left = beside.filter((error) => {
    const row = statedFor(way, error);
    if (row) stated.push(row.name);
    return !row;
  });
  const outermost = unions.filter((error) => !unions.some((other) => other !== error && other.site === error.site && error.instancePath.startsWith(other.instancePath)
    && (other.instancePath !== error.instancePath || unions.indexOf(other) > unions.indexOf(error))));
  for (const union of outermost) {
    const fits = union.schema.some((member) => {
      const inner = oracle.errors(member, union.data).map((error) => ({ ...error, site: union.site, operation: union.operation }));
      return unstated(oracle, way, inner, stated).length === 0;
    });
    if (!fits) left.push(union);
  }
  return left;
}

// Whether two places are in members of one union: they part at a label, which is the name of a kind or a model, and no index.
function areAlternatives(one, other) {
  const parts = one.findIndex((step, at) => step !== other[at]);
  return parts > 0 && typeof one[parts] === "string" && (LABELS.test(one[parts]) || LABELS.test(other[parts] ?? ""));
}
const LABELS = /^(?:string|integer|number|boolean|array|map|date|object|model|[A-Z]\w*)$/;

const placed = (error) => `${error.site?.name ?? ""}${error.instancePath ?? ""} ${error.message ?? "is missing"} (${JSON.stringify(error.data)})`;

function compare(oracle, reply, wrong, given) {
  const problems = [], stated = [];
  if (wrong.length === 0 && isRefused(reply)) {
    const detail = detailOf(reply);
    const errors = Array.isArray(detail) ? detail : [{ type: String(reply.status), loc: ["request"], msg: detail }];
    const rows = errors.map((error) => statedFor("refused", { error, value: valueAt(given, error.loc), given, oracle }));
    stated.push(...rows.filter(Boolean).map((row) => row.name));
    errors.forEach((error, at) => {
      const excused = rows[at] || errors.some((other, index) => rows[index] && areAlternatives(error.loc, other.loc));
      if (!excused) problems.push(`the document takes it, the server does not: ${JSON.stringify(error)}`);
    });
  }
  if (wrong.length > 0 && reply.status < 300)
    for (const error of unstated(oracle, "taken", wrong, stated)) problems.push(`the server takes it, the document does not: ${placed(error)}`);
  return { problems, stated };
}

function responseFor(document, operation, status) {
  let response = operation.said.responses[status] ?? operation.said.responses[`${Math.trunc(status / 100)}XX`] ?? operation.said.responses.default;
  if (response?.$ref) response = response.$ref.slice(2).split("/").reduce((value, step) => value[step], document);
  return response;
}

function* wrongResponse(document, oracle, operation, reply) {
  const response = responseFor(document, operation, reply.status);
  if (!response) return yield `the document has no response ${reply.status}`;
  for (const [header, about] of Object.entries(response.headers ?? {}))
    if (about.required && reply.headers[header.toLowerCase()] === undefined) yield `the response ${reply.status} has no ${header}`;
  if (!response.content || reply.status === 304) return;
  const media = (reply.headers["content-type"] ?? "").split(";")[0];
  const content = response.content[media];
  if (!content) return yield `the response ${reply.status} is ${media || "of no type"}, and the document says ${Object.keys(response.content)}`;
  if (media !== JSON_BODY || !content.schema) return;
  for (const error of unstated(oracle, "answered", oracle.errors(content.schema, JSON.parse(reply.body)), []))
    yield `the response ${reply.status} breaks its schema: ${placed(error)}`;
}

// ---- operations ----

const BROKEN_JSON = [" ", "{", '{"a":1,"a":2}', "[1,]", "nul", '"\\u0000"', '"\\ud800"', "\ufeff{}", `${"[".repeat(100)}${"]".repeat(100)}`];

// Requests that no schema is about: a body of another type, of none, and what is no JSON; and so many that a limit is reached.
function* oddRequests(operation, values, sites) {
  const given = sites.filter((site) => site.required).map((site) => part(site, values.good(site.schema))).filter(Boolean);
  const request = requestOf(operation, given), about = operation.said.requestBody, media = Object.keys(about?.content ?? {})[0];
  const typed = (type, text) => ({ ...request, headers: { ...request.headers, "Content-Type": type }, body: text });
  if (media && media !== BYTES) yield { request: typed("application/x-unknown", "x=1"), expected: [415] };
  if (about?.required && media !== FORM_BODY) yield { request: typed(media, undefined), expected: [422] };
  if (media === JSON_BODY && Object.keys(about.content[media].schema).length > 0)
    for (const text of BROKEN_JSON) yield { request: typed(media, text), expected: [422] };
  if (operation.said.responses[429]) for (let times = 0; times < 8; times++) yield { request, same: true };
}

async function tryOperation(document, oracle, operation, client) {
  const random = new Random(seedOf(seed, operation.name)), values = new Values(document, oracle, random);
  const sites = sitesOf(operation, values), authorization = credentials(document, operation);
  const told = { sent: 0, valid: 0, invalid: 0, findings: [], stated: new Map() };
  for (let number = 0; number < (sites.length > 0 ? cases : 3); number++) {
    const given = makeCase(values, sites);
    if (!given) continue;
    const wrong = objections(values, oracle, operation, sites, given), request = requestOf(operation, given);
    const reply = await client.send({ ...request, headers: { ...request.headers, ...authorization } });
    const { problems, stated } = compare(oracle, reply, wrong, given);
    problems.push(...wrongResponse(document, oracle, operation, reply));
    told.sent++;
    told[wrong.length > 0 ? "invalid" : "valid"]++;
    for (const row of stated) told.stated.set(row, (told.stated.get(row) ?? 0) + 1);
    if (problems.length > 0) told.findings.push({ request, reply, problems });
  }
  for (const { request, expected, same } of oddRequests(operation, values, sites)) {
    const reply = await client.send({ ...request, headers: { ...request.headers, ...authorization } }, same);
    const problems = [...wrongResponse(document, oracle, operation, reply)];
    if (expected && !expected.includes(reply.status)) problems.push(`it should answer ${expected.join(" or ")}`);
    if (problems.length > 0) told.findings.push({ request, reply, problems });
  }
  return told;
}

function show({ request, reply, problems }) {
  console.log(`#   ${request.method} ${request.target} ${JSON.stringify(request.headers)} ${request.body ?? ""}`.slice(0, 600));
  console.log(`#   ${reply.status} ${reply.body}`.slice(0, 400));
  for (const problem of new Set(problems)) console.log(`#     ${problem}`.slice(0, 400));
}

const client = new Client(url), document = await documentOf(client), oracle = new Oracle(document);
const all = new Map();
let count = 0, failed = 0, sent = 0;
console.log(`# ${name}: seed ${seed}, ${cases} requests for each operation`);
for (const operation of operations(document)) {
  if (options.only && !operation.name.includes(options.only)) continue;
  const told = await tryOperation(document, oracle, operation, client);
  const good = told.findings.length === 0;
  if (!good) failed++;
  sent += told.sent;
  console.log(`${good ? "ok" : "not ok"} ${++count} - ${name}: ${operation.name} does what the document says (${told.valid} requests that it takes, ${told.invalid} that it does not)`);
  for (const finding of told.findings.slice(0, SHOWN)) show(finding);
  if (told.findings.length > SHOWN) console.log(`#   and ${told.findings.length - SHOWN} more`);
  for (const [row, times] of told.stated) all.set(row, (all.get(row) ?? 0) + times);
}
client.close();
console.log(`# ${name}: ${sent} requests; differences that lua/README.md tells of: ${[...all].map(([row, times]) => `${row} (${times})`).join(", ") || "none"}`);
console.log(`1..${count}`);
process.exitCode = failed > 0 || count === 0 ? 1 : 0;

// SPDX-License-Identifier: MIT
// Values for schemas: such as the schema takes, as far as one can tell by writing
// them, and such with something wrong in one place. What they are is the oracle's
// to say, not theirs.
import RandExp from "randexp";
import { GOOD, NEAR } from "./formats.mjs";

// A number whose text is not the one that JavaScript would write.
export class Written {
  constructor(text) {
    this.text = text;
  }
}

export function plain(value) {
  if (value instanceof Written) return Number(value.text);
  if (Array.isArray(value)) return value.map(plain);
  if (value === null || typeof value !== "object") return value;
  const copy = {};
  for (const [name, item] of Object.entries(value)) Object.defineProperty(copy, name, { value: plain(item), enumerable: true, writable: true, configurable: true });
  return copy;
}

export function write(value) {
  if (value instanceof Written) return value.text;
  if (Array.isArray(value)) return `[${value.map(write).join(",")}]`;
  if (value === null || typeof value !== "object") return JSON.stringify(value);
  return `{${Object.entries(value).map(([name, item]) => `${JSON.stringify(name)}:${write(item)}`).join(",")}}`;
}

const LETTERS = ["a", "b", "z", "A", "Z", "0", "9", " ", "-", "_", ".", "@", "/", "%", "&", "=", "+", "\t", "\n", "\r", "\u00a0", "\u2028", "ä", "Ω", "ß", "€", "語", "😀", '"', "\\", "'"];
const MAX_DEPTH = 4;

export class Values {
  constructor(document, oracle, random) {
    this.document = document;
    this.oracle = oracle;
    this.random = random;
  }

  // Drawn again, a few times, until the schema takes it.
  fitting(schema, draw) {
    let value = draw();
    for (let tries = 0; tries < 12 && this.oracle.errors(schema, value).length > 0; tries++) value = draw();
    return value;
  }

  resolve(schema) {
    while (schema?.$ref) schema = schema.$ref.slice(2).split("/").reduce((value, name) => value[name], this.document);
    return schema ?? {};
  }

  typesOf(schema) {
    if (schema.type) return [schema.type].flat();
    if (schema.properties) return ["object"];
    return ["string", "number", "integer", "boolean", "null", "object", "array"];
  }

  // ---- values that fit ----

  good(given, depth = 0) {
    const schema = this.resolve(given), { random } = this;
    if (schema.const !== undefined) return schema.const;
    if (schema.enum) return random.pick(schema.enum);
    const members = schema.anyOf ?? schema.oneOf;
    if (members) return this.good(depth > MAX_DEPTH ? members.at(-1) : random.pick(members), depth + 1);
    if (schema["x-pcre2-pattern"] || schema.examples?.length && random.chance(0.2)) if (schema.examples?.length) return random.pick(schema.examples);
    const types = this.typesOf(schema);
    const type = depth > MAX_DEPTH && types.includes("null") ? "null" : depth > MAX_DEPTH ? types[0] : random.pick(types);
    return this[type](schema, depth);
  }

  null() {
    return null;
  }

  boolean() {
    return this.random.chance(0.5);
  }

  bounds(schema) {
    const step = schema.multipleOf ?? 1;
    const low = schema.minimum ?? (schema.exclusiveMinimum !== undefined ? schema.exclusiveMinimum + step : undefined);
    const high = schema.maximum ?? (schema.exclusiveMaximum !== undefined ? schema.exclusiveMaximum - step : undefined);
    return [low ?? (high ?? 0) - 100 * step, high ?? (low ?? 0) + 100 * step, step];
  }

  integer(schema) {
    const [low, high, step] = this.bounds(schema), { random } = this;
    const wide = schema.format === "int64" ? [2 ** 53, -(2 ** 62)] : [2 ** 53 - 1, 1 - 2 ** 53];
    if (random.chance(0.1) && schema.minimum === undefined && schema.exclusiveMinimum === undefined && schema.multipleOf === undefined) return random.pick(wide);
    const from = Math.ceil(low / step), to = Math.floor(high / step);
    return random.pick([from, to, random.integer(from, to)]) * step;
  }

  number(schema) {
    const [low, high, step] = this.bounds(schema), { random } = this;
    if (schema.multipleOf !== undefined) return Math.ceil(low / step) * step + random.integer(0, Math.floor((high - low) / step)) * step;
    const inside = low + (high - low) * random.fraction();
    const edges = [schema.minimum, schema.maximum].filter((edge) => edge !== undefined);
    if (edges.length === 0 && random.chance(0.2)) return random.pick([0, -0, 1e-7, 1.5e300, 5e-324, 123456789012345680000, 2 ** 53 + 2, -1e21]);
    return random.pick([inside, Math.trunc(inside * 100) / 100, ...edges]);
  }

  text(length) {
    return Array.from({ length }, () => this.random.pick(LETTERS)).join("");
  }

  fromPattern(pattern) {
    const source = new RandExp(pattern.replaceAll("\\p{Lu}", "[A-ZÄÖ]").replaceAll("\\p{L}", "[a-zäöΩ語]"));
    source.randInt = (from, to) => this.random.integer(from, to);
    source.max = 8;
    source.defaultRange.add(0xa0, 0xff);
    return source.gen();
  }

  // What may be written to headers and addresses has narrower letters; see requests.mjs.
  string(schema) {
    const { random } = this;
    if (schema.contentEncoding === "base64") return this.fitting(schema, () => this.base64(schema));
    if (GOOD[schema.format]) return this.fitting(schema, () => random.pick(GOOD[schema.format]));
    if (schema.pattern) return this.fitting(schema, () => this.fromPattern(schema.pattern));
    const low = schema.minLength ?? 0, high = Math.min(schema.maxLength ?? low + 12, low + 40);
    return this.text(random.pick([low, high, random.integer(low, high)]));
  }

  base64(schema) {
    const { random } = this;
    const least = Math.floor(((schema.minLength ?? 0) * 3) / 4) - 2, most = Math.min(60, Math.floor(((schema.maxLength ?? 60) * 3) / 4));
    const count = random.integer(Math.max(0, least), most);
    return Buffer.from(Array.from({ length: count }, () => random.integer(0, 255))).toString("base64");
  }

  array(schema, depth) {
    const { random } = this;
    const low = schema.minItems ?? 0, high = Math.min(schema.maxItems ?? low + 3, low + 5);
    const count = depth > MAX_DEPTH ? low : random.integer(low, high);
    const items = [];
    for (let tries = 0; items.length < count && tries < 40; tries++) {
      const item = this.good(schema.items ?? {}, depth + 1);
      if (!schema.uniqueItems || !items.some((other) => JSON.stringify(other) === JSON.stringify(item))) items.push(item);
    }
    return items;
  }

  object(schema, depth) {
    const { random } = this, out = {};
    for (const [name, property] of Object.entries(schema.properties ?? {}))
      if (schema.required?.includes(name) || (depth <= MAX_DEPTH && random.chance(0.6))) out[name] = this.good(property, depth + 1);
    if (schema.additionalProperties === false) return out;
    const few = schema.minProperties ?? (schema.properties ? 0 : random.integer(0, 2));
    for (let tries = 0; Object.keys(out).length < few && tries < 30; tries++) {
      const key = schema.propertyNames ? String(this.good(schema.propertyNames, depth + 1)) : `key${random.integer(0, 99)}`;
      out[key] = this.good(typeof schema.additionalProperties === "object" ? schema.additionalProperties : {}, depth + 1);
    }
    return out;
  }

  // ---- values that may not fit ----

  // Anything at all.
  noise() {
    return this.random.pick([null, true, false, 0, 1, -1, 1.5, 2 ** 31, 2 ** 53, 1e300, "", " ", "1", "true", "null", "abc", "[]", "ä", [], [1], [null], {}, { a: 1 }, { type: "cat" },
      new Written("1.0"), new Written("1e2"), new Written("-0.0")]);
  }

  // What stands next to what the schema takes.
  near(given) {
    const schema = this.resolve(given), { random } = this, out = [];
    const edge = (...values) => out.push(...values.filter((value) => typeof value === "number" ? Number.isFinite(value) : value !== undefined));
    for (const name of ["minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum"])
      if (schema[name] !== undefined) edge(schema[name] - 1, schema[name], schema[name] + 1, schema[name] + (schema.multipleOf ?? 0.5));
    if (schema.multipleOf) edge(schema.multipleOf / 2, schema.multipleOf * 1.25, schema.multipleOf);
    if (schema.format === "double-int") edge(2 ** 53, -(2 ** 53));
    for (const name of ["minLength", "maxLength"])
      if (schema[name] !== undefined) edge(...[-1, 0, 1].map((more) => this.text(Math.max(0, schema[name] + more))));
    if (schema.pattern) edge(`${this.fromPattern(schema.pattern)}\n`, ` ${this.fromPattern(schema.pattern)}`, this.text(3));
    if (schema.contentEncoding) edge("aGk", "aGk=", "aGl=", "aGk==", "a", "****", "aGk=\n", "-_-_", "+/+/", "AAAAA===");
    if (NEAR[schema.format]) edge(...NEAR[schema.format]);
    if (schema.enum) edge(...schema.enum.map(String), ...schema.enum.map((value) => `${value}x`));
    if (schema.const !== undefined) edge(`${schema.const}x`, [schema.const]);
    const types = this.typesOf(schema);
    if (types.includes("integer") || types.includes("number") || types.includes("boolean")) edge("1", "0", "true", "1.0", "yes", " 1", "+1", "1_0", "1e1");
    return out.length > 0 ? random.pick(out) : this.noise();
  }

  // The value with one thing in it changed, somewhere.
  mutant(given, value) {
    const schema = this.resolve(given), { random } = this;
    const inner = value !== null && typeof value === "object" && !(value instanceof Written);
    if (inner && random.chance(0.9)) {
      const changed = Array.isArray(value) ? this.mutantArray(schema, [...value]) : this.mutantObject(schema, { ...value });
      if (changed !== undefined) return changed;
    }
    const members = schema.anyOf ?? schema.oneOf;
    if (members && random.chance(0.5)) return this.mutant(random.pick(members), value);
    return random.chance(0.6) ? this.near(schema) : this.noise();
  }

  memberOf(schema, value) {
    const members = (schema.anyOf ?? schema.oneOf ?? []).map((member) => this.resolve(member));
    const wanted = Array.isArray(value) ? "array" : "object";
    const fitting = members.flatMap((member) => (member.anyOf || member.oneOf ? this.memberOf(member, value) : [member])).filter((member) => this.typesOf(member).includes(wanted));
    return fitting;
  }

  mutantArray(schema, items) {
    const { random } = this;
    if (schema.anyOf || schema.oneOf) schema = random.pick([...this.memberOf(schema, items), {}]);
    const at = items.length > 0 ? random.integer(0, items.length - 1) : -1;
    const kind = random.integer(0, 3);
    if (at < 0) return [this.good(schema.items ?? {}, 2)];
    if (kind === 0) return [...items, items[at]];
    if (kind === 1) return items.filter((_, index) => index !== at);
    if (kind === 2) return Array.from({ length: (schema.maxItems ?? items.length) + 1 }, (_, index) => items[index % items.length]).slice(0, 20);
    items[at] = this.mutant(schema.items ?? {}, items[at]);
    return items;
  }

  mutantObject(schema, object) {
    const { random } = this;
    if (schema.anyOf || schema.oneOf) schema = random.pick([...this.memberOf(schema, object), {}]);
    const names = Object.keys(object), known = Object.keys(schema.properties ?? {});
    const kind = random.fraction();
    if (kind < 0.2 && names.length > 0) delete object[random.pick(names)];
    else if (kind < 0.35) object[random.pick(["extra", "id", "a", "kind", "type", "x", ...known.map((name) => name.toUpperCase()), "toString"])] = this.noise();
    else if (kind < 0.5 && !schema.properties) {
      const key = random.pick(["1", "true", "low", "2030-01-01", "2030-13-01", "long key", "", "x"]);
      object[key] = this.good(typeof schema.additionalProperties === "object" ? schema.additionalProperties : {}, 2);
    } else {
      const name = random.pick([...names, ...known]);
      if (name === undefined) return undefined;
      object[name] = this.mutant(schema.properties?.[name] ?? (typeof schema.additionalProperties === "object" ? schema.additionalProperties : {}), object[name]);
    }
    return object;
  }
}

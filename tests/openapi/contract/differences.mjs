// SPDX-License-Identifier: MIT
// Where a document and the server say different things, each with the words of
// lua/README.md that say so. What no row covers is a finding.
//   refused({ error, value })     an error of the server's on what the document takes
//   taken(error), answered(error) an error of Ajv's on what the server took, or on its answer
import { readFile } from "node:fs/promises";

const TIME = String.raw`\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?(?:z|[+\-\u2212]\d\d:?\d\d)?`;
const OTHER_FORMS = {
  uuid: /^(?:[0-9a-f]{32}|\{[0-9a-f-]{36}\}|urn:uuid:[0-9a-f-]{36})$/i,
  time: new RegExp(`^${TIME}$`, "i"),
  "date-time": new RegExp(String.raw`^\d{4}-\d\d-\d\d[t _]${TIME}$`, "i"),
  duration: /^[+-]?(?:P(?=.*\d)(?:\d+(?:[.,]\d+)?[YMWD])*(?:T(?:\d+(?:[.,]\d+)?[HMS])*)?|\d+ ?(?:days?|d),? ?(?:\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?)?|\d+:\d\d(?::\d\d(?:[.,]\d+)?)?)$/i,
  cidr: /^(?:[\d.]+|[0-9a-f:.]*:[0-9a-f:.]*)$/i,
  decimal: /^\s*[+-]?(?:\d[\d_]*\.?\d*|\.\d+)(?:e[+-]?\d+)?\s*$/i,
  uri: /^https?:.*[^\x21-\x7e"<>\\^`{|}]/i,
  email: /[^\x00-\x7f]/,
};
const LATE_TIME = /^(?:\d{4}-\d\d-\d\dT)?\d\d:\d\d:\d\d(?:\.\d+)?$/, ANSWERED_DURATION = /^-?P(?:\d+D)?(?:T(?:\d+H)?(?:\d+M)?(?:\d+(?:\.\d+)?S)?)?$/;
const BASE64 = /^(?:[A-Za-z0-9+/]*|[\w-]*)={0,2}$/;

// How text says a number, a truth or a moment besides the way that JSON does.
const TEXTS = {
  integer: /^\s*[+-]?\d+(?:_\d+)*(?:\.0+)?\s*$/,
  number: /^\s*[+-]?(?:\d[\d_]*\.?\d*|\.\d+)(?:e[+-]?\d+)?\s*$/i,
  boolean: /^(?:1|0|on|off|yes|no|y|n|t|f|true|false)$/i,
  date: /^(?:\d{4}-\d\d-\d\d[t _]00:00(?::00(?:\.0+)?)?(?:z|[+-]\d\d:?\d\d)?|-?\d+(?:\.0+)?)$/i,
  "date-time": /^(?:\d{4}-\d\d-\d\d|-?\d+(?:\.\d+)?)$/,
};
const LAX = { integer: (value) => typeof value === "boolean" || Number.isInteger(Number(value)), boolean: (value) => value === 0 || value === 1, number: (value) => typeof value === "boolean" };

const typesOf = (error) => [error.schema].flat();
const isText = (error) => typeof error.data === "string";

// What a lax or a text place makes a value of.
function isConverted(error) {
  if (error.keyword === "format") return isText(error) && TEXTS[error.schema]?.test(error.data);
  if (error.keyword === "enum" || error.keyword === "const") return isText(error) && [error.schema].flat().some((value) => typeof value !== "string" && String(value) === error.data);
  if (error.keyword !== "type") return false;
  return typesOf(error).some((type) => (isText(error) && TEXTS[type]?.test(error.data)) || (error.operation.endsWith("/lax") && (LAX[type]?.(error.data) || error.parentSchema.format === "date")));
}

const tidied = (text) => (typeof text === "string" ? text.trim().toLowerCase() : undefined);

export const DIFFERENCES = [
  {
    name: "other forms", says: "The form in which a value is sent back. Other forms are taken too",
    taken: (error) => (error.keyword === "format" && isText(error) && OTHER_FORMS[error.schema]?.test(error.data)) ||
      (error.keyword === "type" && typeof error.data === "number" && error.parentSchema.format === "decimal") ||
      (["pattern", "minLength", "maxLength"].includes(error.keyword) && error.parentSchema.contentEncoding === "base64" && BASE64.test(error.data)),
  },
  {
    name: "what goes out", says: "a `time` or a `datetime` goes out without an offset where it came so, a `duration` with a fraction or a sign, an email address with its letters",
    answered: (error) => error.keyword === "format" && ((["time", "date-time"].includes(error.schema) && LATE_TIME.test(error.data)) || (error.schema === "duration" && ANSWERED_DURATION.test(error.data)) ||
      (error.schema === "email" && OTHER_FORMS.email.test(error.data))),
  },
  {
    name: "text and lax", says: "A value as JSON has it. Where text is read, and by `strict = false`, what can be converted is taken too",
    taken: (error) => (error.site.in !== "body" || error.operation.endsWith("/lax")) && isConverted(error),
  },
  {
    name: "strip and lower", says: "Lengths, patterns and unique items of what is left. `strip` and `lower` come first",
    taken: (error) => error.operation.endsWith("/tidied") && ["minLength", "maxLength", "pattern"].includes(error.keyword),
    refused: ({ error, value }) => error.type === "string_too_short" && typeof value === "string" && value !== value.trim(),
  },
  {
    name: "unique once converted", says: "Lengths, patterns and unique items of what is left. `strip` and `lower` come first",
    refused: ({ error, value }) => error.type === "value_error" && /no item twice/.test(error.msg) && Array.isArray(value) && new Set(value.map(tidied)).size < value.length,
  },
  { name: "bytes of a secret", says: "`min_bytes` in characters", taken: (error) => error.keyword === "minLength" && error.parentSchema["x-minimum-bytes"] <= Buffer.byteLength(error.data) },
  {
    name: "formats", says: "A format of JSON Schema, which may be wider",
    refused: ({ error, value }) => (error.type === "value_error" && /email/.test(error.msg)) || /^url_/.test(error.type) || /23:59:60/.test(value) || /^0000-/.test(value) ||
      error.msg.includes("in UTC it lies outside") || (error.type === "time_delta_parsing" && /\d{9}/.test(value)),
  },
  { name: "whole numbers", says: "A number without a fraction", refused: ({ error, value }) => ["int_type", "literal_error"].includes(error.type) && /^-?\d+(?:\.0+|e\d+)$/.test(value?.text ?? value) },
  { name: "64 bits", says: "Any number, any text", refused: ({ error }) => error.type === "json_invalid" && /64 bits|NUL|surrogate|u0000/.test(error.msg) },
  { name: "text that holds JSON", says: "A text that holds JSON", refused: ({ error }) => error.type === "json_invalid" && /should hold JSON text/.test(error.msg) },
  { name: "patterns of PCRE2", says: "`x-pcre2-pattern`", refused: ({ error, oracle }) => error.type === "string_pattern_mismatch" && oracle.text.includes(`"x-pcre2-pattern":${JSON.stringify(error.ctx.pattern)}`) },
  { name: "checks", says: "A value that a `check` refuses", refused: ({ error }) => error.type === "value_error" && /is seven/.test(error.msg) },
  { name: "names in Lua", says: "A name that a model with `extra = \"allow\"`", refused: ({ error }) => error.type === "extra_forbidden" && /what clients call|set by the server/.test(error.msg) },
  {
    name: "paths", says: "Any text in a path",
    refused: ({ error, given }) => error.type === "400" && /^the path has|^the path is not/.test(error.msg) && given.some(({ site, texts }) => site.in === "path" && /[/\\\x00-\x1f\x7f]|^\.{0,2}$/.test(texts[0])),
  },
  { name: "a key of another request", says: "was used for another request", refused: ({ error }) => error.type === "idempotency_key_reused" },
];

// The first row that has to say something of it.
export function statedFor(way, about) {
  return DIFFERENCES.find((row) => row[way]?.(about));
}

// The rows that the README does not tell of.
export async function untold(file) {
  const text = (await readFile(file, "utf8")).replace(/\s+/g, " ");
  return DIFFERENCES.filter((row) => !text.includes(row.says)).map((row) => row.name);
}

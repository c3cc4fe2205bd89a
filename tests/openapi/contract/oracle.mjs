// SPDX-License-Identifier: MIT
// What a document says of a value: JSON Schema 2020-12 by Ajv, with formats taken
// at their word and the document's own keywords for what JSON Schema cannot bound.
import Ajv2020 from "ajv/dist/2020.js";
import addFormats from "ajv-formats";
import { MORE_FORMATS } from "./formats.mjs";

function decimalParts(text) {
  const match = /^(-?)(\d*)(?:\.(\d*))?$/.exec(text);
  return match && { negative: match[1] === "-", whole: match[2] || "0", fraction: match[3] ?? "" };
}

// Both as whole numbers of the finer one's last place.
function scaled(a, b) {
  const left = decimalParts(String(a)), right = decimalParts(String(b));
  if (!left || !right) return undefined;
  const places = Math.max(left.fraction.length, right.fraction.length);
  return [left, right].map(({ negative, whole, fraction }) => BigInt(whole + fraction.padEnd(places, "0")) * (negative ? -1n : 1n));
}

const UNITS = [31536000, 2592000, 604800, 86400, 3600, 60, 1];

function seconds(text) {
  const match = /^([+-]?)P(?:([\d.]+)Y)?(?:([\d.]+)M)?(?:([\d.]+)W)?(?:([\d.]+)D)?(?:T(?:([\d.]+)H)?(?:([\d.]+)M)?(?:([\d.]+)S)?)?$/.exec(text);
  return match ? UNITS.reduce((sum, unit, at) => sum + unit * Number(match[at + 2] ?? 0), 0) * (match[1] === "-" ? -1 : 1) : NaN;
}

const hasOffset = (text) => /(?:z|[+-]\d\d:?\d\d)$/i.test(text);
const moment = (text) => Date.parse(hasOffset(text) ? text : `${text}Z`);

const ORDERS = {
  decimal: (a, b) => {
    const both = scaled(a, b);
    return both ? Number(both[0] > both[1]) - Number(both[0] < both[1]) : NaN;
  },
  date: (a, b) => moment(`${a}T00:00:00Z`) - moment(`${b}T00:00:00Z`),
  time: (a, b) => moment(`2000-01-01T${a}`) - moment(`2000-01-01T${b}`),
  "date-time": (a, b) => moment(a) - moment(b),
  duration: (a, b) => seconds(a) - seconds(b),
};

const BOUNDS = {
  "x-minimum": (order) => order >= 0, "x-exclusive-minimum": (order) => order > 0, "x-maximum": (order) => order <= 0, "x-exclusive-maximum": (order) => order < 0,
};

function newAjv() {
  const ajv = new Ajv2020({ strict: false, allErrors: true, verbose: true, multipleOfPrecision: 9, validateSchema: false, logger: false });
  addFormats(ajv);
  for (const [name, format] of Object.entries(MORE_FORMATS)) ajv.addFormat(name, format);
  for (const [keyword, holds] of Object.entries(BOUNDS))
    ajv.addKeyword({ keyword, type: "string", validate: (bound, value, schema) => !(ORDERS[schema.format](value, bound) === ORDERS[schema.format](value, bound)) || holds(ORDERS[schema.format](value, bound)) });
  ajv.addKeyword({ keyword: "x-multiple-of", type: "string", validate: (step, value) => {
    const both = scaled(value, step);
    return !both || both[0] % both[1] === 0n;
  } });
  ajv.addKeyword({ keyword: "x-minimum-bytes", type: "string", validate: (least, value) => Buffer.byteLength(value) >= least });
  return ajv;
}

export class Oracle {
  constructor(document) {
    this.document = document;
    this.text = JSON.stringify(document);
    this.ajv = newAjv();
    this.compiled = new Map();
  }

  // What is wrong with a value by a schema of the document: Ajv's errors, none when it is valid.
  errors(schema, value) {
    if (!this.compiled.has(schema)) this.compiled.set(schema, this.ajv.compile({ components: this.document.components, allOf: [schema] }));
    const check = this.compiled.get(schema);
    return check(value) ? [] : check.errors;
  }
}

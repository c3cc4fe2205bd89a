// SPDX-License-Identifier: MIT
// validate.mjs FILE: whether a file is a valid OpenAPI 3.1 document. The official
// schema, with the dialect of its Schema Objects, says most; what a schema cannot
// say (references, templates, unique names) is checked here. Exit status 0, 1
// with what is wrong, or 2 when it could not be read.
import { readFile } from "node:fs/promises";
import { setMetaSchemaOutputFormat, validate } from "@hyperjump/json-schema/openapi-3-1";

const METHODS = ["get", "put", "post", "delete", "options", "head", "patch", "trace"];

function resolve(document, reference) {
  if (!reference.startsWith("#/")) return undefined;
  const names = reference.slice(2).split("/").map((name) => decodeURIComponent(name).replaceAll("~1", "/").replaceAll("~0", "~"));
  return names.reduce((value, name) => value?.[name], document);
}

function* references(value, place = "#") {
  if (value === null || typeof value !== "object") return;
  for (const [name, item] of Object.entries(value)) {
    if (name === "$ref" && typeof item === "string") yield [item, place];
    else yield* references(item, `${place}/${name}`);
  }
}

function* operations(document) {
  for (const [path, item] of Object.entries(document.paths ?? {}))
    for (const method of METHODS) if (item[method]) yield [path, method, item[method]];
}

function* duplicates(values) {
  const seen = new Set();
  for (const value of values) {
    if (seen.has(value)) yield value;
    seen.add(value);
  }
}

function* beyondSchema(document) {
  for (const [reference, place] of references(document))
    if (resolve(document, reference) === undefined) yield `${place}: ${reference} leads nowhere`;
  const all = [...operations(document)];
  for (const id of duplicates(all.map(([, , operation]) => operation.operationId))) yield `two operations are called ${id}`;
  for (const shape of duplicates(Object.keys(document.paths ?? {}).map((path) => path.replace(/\{[^}]*\}/g, "{}"))))
    yield `two paths match the same requests: ${shape}`;
  for (const [path, method, operation] of all) {
    const parameters = operation.parameters ?? [];
    const inPath = parameters.filter((parameter) => parameter.in === "path").map((parameter) => parameter.name);
    const inTemplate = [...path.matchAll(/\{([^}]*)\}/g)].map((match) => match[1]);
    if ([...inPath].sort().join() !== [...inTemplate].sort().join())
      yield `${method} ${path}: path parameters are described as (${inPath}) but the path has (${inTemplate})`;
    for (const name of duplicates(parameters.map((parameter) => `${parameter.name} in ${parameter.in}`)))
      yield `${method} ${path}: two parameters are called ${name}`;
  }
  for (const [place, schema] of discriminators(document)) yield* checkDiscriminator(document, place, schema);
}

function* discriminators(value, place = "#") {
  if (value === null || typeof value !== "object") return;
  if (value.discriminator?.propertyName && value.oneOf) yield [place, value];
  for (const [name, item] of Object.entries(value)) yield* discriminators(item, `${place}/${name}`);
}

function* checkDiscriminator(document, place, schema) {
  for (const member of schema.oneOf) {
    const target = member.$ref ? resolve(document, member.$ref) : member;
    if (!target?.properties?.[schema.discriminator.propertyName]) yield `${place}: a member has no ${schema.discriminator.propertyName}`;
  }
  for (const target of Object.values(schema.discriminator.mapping ?? {}))
    if (!schema.oneOf.some((member) => member.$ref === target)) yield `${place}: ${target} is mapped to but is no member`;
}

async function problems(document) {
  const result = await validate("https://spec.openapis.org/oas/3.1/schema-base", document, "BASIC");
  if (result.valid) return [...beyondSchema(document)];
  const places = new Set((result.errors ?? []).map((error) => `${error.instanceLocation} against ${error.absoluteKeywordLocation}`));
  return places.size > 0 ? [...places] : ["the document breaks the official schema"];
}

const file = process.argv[2];
let document;
try {
  document = JSON.parse(await readFile(file, "utf8"));
} catch (error) {
  console.error(`${file ?? "usage: validate.mjs FILE"}: ${error.message}`);
  process.exit(2);
}
setMetaSchemaOutputFormat("BASIC");
const found = await problems(document);
for (const problem of found) console.error(`${file}: ${problem}`);
process.exit(found.length > 0 ? 1 : 0);

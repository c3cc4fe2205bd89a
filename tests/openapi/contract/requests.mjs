// SPDX-License-Identifier: MIT
// An operation's parameters and body, and requests made of values for them, as
// OpenAPI's default styles write them.
import http from "node:http";
import { write } from "./values.mjs";

const METHODS = ["get", "put", "post", "delete", "patch"];
export const TEXT_BODY = "text/plain", FORM_BODY = "application/x-www-form-urlencoded", JSON_BODY = "application/json", BYTES = "application/octet-stream";

export function* operations(document) {
  for (const [path, item] of Object.entries(document.paths))
    for (const method of METHODS) if (item[method]) yield { path, method: method.toUpperCase(), said: item[method], name: `${method.toUpperCase()} ${path}` };
}

// Each place where a value goes: { in, name, schema, required, text }; a form's fields are places of their own.
export function sitesOf(operation, values) {
  const sites = (operation.said.parameters ?? []).map((one) => ({ in: one.in, name: one.name, schema: one.schema, required: one.required === true, text: true }));
  const body = operation.said.requestBody;
  const [media, content] = Object.entries(body?.content ?? {})[0] ?? [];
  if (media === FORM_BODY) {
    const form = values.resolve(content.schema);
    for (const [name, schema] of Object.entries(form.properties)) sites.push({ in: "form", name, schema, required: form.required?.includes(name) ?? false, text: true });
  } else if (media) sites.push({ in: "body", media, schema: content.schema ?? {}, required: body.required === true, text: media !== JSON_BODY });
  return sites;
}

const one = (value) => (typeof value === "string" ? value : write(value));

// What is written of a value where text is read: a list of texts.
export function texts(value) {
  return Array.isArray(value) ? value.map(one) : [one(value)];
}

const TOKEN = /^[!-~]+(?: [!-~]+)*$/, COOKIE = /^[!#-+\-./0-9:<-[\]-~]*$/;

// Whether HTTP can carry the texts there at all.
export function carries(site, list) {
  if (site.in === "header") return list.every((text) => TOKEN.test(text) && !(site.schema.type === "array" && /[,"]/.test(text)));
  if (site.in === "cookie") return list.length === 1 && COOKIE.test(list[0]);
  return list.every((text) => !/\p{Surrogate}/u.test(text));
}

export function requestOf(operation, given) {
  const headers = {}, query = [], cookies = [], form = [];
  let path = operation.path, body;
  for (const { site, texts: list, value } of given) {
    const pairs = () => list.map((text) => `${encodeURIComponent(site.name)}=${encodeURIComponent(text)}`);
    if (site.in === "path") path = path.replace(`{${site.name}}`, () => encodeURIComponent(list[0]));
    else if (site.in === "query") query.push(...pairs());
    else if (site.in === "form") form.push(...pairs());
    else if (site.in === "header") headers[site.name] = list.join(",");
    else if (site.in === "cookie") cookies.push(`${site.name}=${list[0]}`);
    else {
      headers["Content-Type"] = site.media;
      body = site.media === JSON_BODY ? write(value) : list[0];
    }
  }
  if (cookies.length > 0) headers.Cookie = cookies.join("; ");
  if (operation.said.requestBody?.content?.[FORM_BODY]) {
    headers["Content-Type"] = FORM_BODY;
    body = form.join("&");
  }
  return { method: operation.method, target: query.length > 0 ? `${path}?${query.join("&")}` : path, headers, body };
}

export class Client {
  constructor(url) {
    this.url = new URL(url);
    this.agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
    this.count = 0;
  }

  // Each request comes from an address of its own, so that limits by address count none of them twice.
  send({ method, target, headers = {}, body }, keepAddress) {
    if (!keepAddress) this.count++;
    const from = `10.${(this.count >> 16) & 255}.${(this.count >> 8) & 255}.${this.count & 255}`;
    const bytes = body === undefined ? undefined : Buffer.from(body);
    const more = bytes ? { "Content-Length": bytes.length } : {};
    return new Promise((resolve, reject) => {
      const request = http.request({
        host: this.url.hostname, port: this.url.port, agent: this.agent, method, path: target, headers: { "X-Forwarded-For": from, ...more, ...headers },
      }, (response) => {
        const pieces = [];
        response.on("data", (piece) => pieces.push(piece));
        response.on("end", () => resolve({ status: response.statusCode, headers: response.headers, body: Buffer.concat(pieces).toString() }));
        response.on("error", reject);
      });
      request.on("error", reject);
      request.end(bytes);
    });
  }

  close() {
    this.agent.destroy();
  }
}

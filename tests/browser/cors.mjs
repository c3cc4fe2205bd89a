// SPDX-License-Identifier: MIT
// cors.mjs PROGRAM: serves the app in cors/, which lets pages of one origin read with
// credentials, and asks it from a page of that origin and from ones of others, by
// scripts and by forms, in Chromium. Prints TAP; exit status 0 when all passed.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:http";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { drive, expect, test } from "./driver.mjs";

// A page that does nothing, on a port of its own.
async function serve(host) {
  const server = createServer((_, response) => {
    response.setHeader("Content-Type", "text/html");
    response.end("<!doctype html><title>A page</title><link rel=icon href=data:,>");
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  return { origin: `http://${host}:${server.address().port}`, close: () => server.close() };
}

async function start(program, origin) {
  const folder = fileURLToPath(new URL("cors", import.meta.url));
  const child = spawn(program, ["dev", folder, "--host=127.0.0.1", "--port=0"], {
    env: { ...process.env, ORIGIN: origin }, stdio: ["ignore", "pipe", "pipe"],
  });
  const said = [];
  const base = await new Promise((resolve, reject) => {
    const read = (line) => {
      said.push(line);
      const found = /listening on (http:\/\/127\.0\.0\.1:\d+)/.exec(line);
      if (found) resolve(found[1]);
    };
    for (const stream of [child.stdout, child.stderr]) createInterface({ input: stream }).on("line", read);
    child.on("error", reject);
    child.on("close", () => reject(new Error(`the server ended:\n${said.join("\n")}`)));
  });
  return { base, close: () => child.kill() };
}

// What fetch gives to a script of the page: the answer, or that it was rejected.
function ask(page, url, options) {
  return page.evaluate(async ([target, given]) => {
    try {
      const response = await fetch(target, given);
      return { status: response.status, body: await response.json() };
    } catch (error) {
      return { rejected: error.name };
    }
  }, [url, options]);
}

async function openPage(context, origin) {
  const page = await context.newPage();
  const preflights = [];
  const session = await context.newCDPSession(page);
  session.on("Network.requestWillBeSent", ({ initiator, request }) => {
    if (initiator.type === "preflight") preflights.push(`${request.method} ${new URL(request.url).pathname}`);
  });
  await session.send("Network.enable");
  await page.goto(origin);
  return { page, preflights };
}

// What a form that the page sends leads to, as its visitor reads it.
async function sendForm(context, origin, action) {
  const page = await context.newPage();
  await page.goto(origin);
  const [response] = await Promise.all([
    page.waitForNavigation(),
    page.evaluate((target) => {
      const form = document.createElement("form");
      Object.assign(form, { method: "post", action: target });
      document.body.append(form);
      form.submit();
    }, action),
  ]);
  const answer = { status: response.status(), text: await response.text() };
  await page.close();
  return answer;
}

// The cookie has SameSite=Strict, and a neighbour on another port of the same host is of the same site.
async function runForms(context, base, listed, neighbour, other) {
  async function expectForm(origin, path, status, text) {
    const answer = await sendForm(context, origin, base + path);
    expect(answer.status === status && answer.text.includes(text), `the form led to ${JSON.stringify(answer)}`);
  }
  const refused = "another origin";

  await test("no form of a page that is not listed begins a session", async () => {
    await expectForm(neighbour, "/visit", 403, refused);
    await expectForm(other, "/visit", 403, refused);
  });
  await test("a form of the listed page begins one, and acts with it", async () => {
    await expectForm(listed, "/visit", 200, "begun");
    await expectForm(listed, "/note", 200, "noted for ada");
  });
  await test("a form of a neighbour, with which the browser sends the cookie, does nothing", async () => {
    await expectForm(neighbour, "/note", 403, refused);
  });
  await test("a form of another site, with which it does not, does nothing either", async () => {
    await expectForm(other, "/note", 401, "Not authenticated");
  });
}

async function run(context, base, listed, other) {
  const { access_token: token } = await (await fetch(`${base}/token`, { method: "POST" })).json();
  const Authorization = `Bearer ${token}`;
  const read = { headers: { Authorization }, credentials: "include" };
  const write = {
    method: "POST", credentials: "include", headers: { Authorization, "Content-Type": "application/json" }, body: JSON.stringify({ text: "hello" }),
  };
  await context.addCookies([{ name: "visit", value: "second", url: base }]);
  const a = await openPage(context, listed);
  const b = await openPage(context, other);

  async function expectAnswer(path, options, status, body) {
    const answer = await ask(a.page, base + path, options);
    const wanted = JSON.stringify(Object.entries(body).sort());
    const got = JSON.stringify(Object.entries(answer.body ?? {}).sort());
    expect(answer.status === status && got === wanted, `the page got ${JSON.stringify(answer)}`);
  }
  async function expectRejected(path, options) {
    const answer = await ask(b.page, base + path, options);
    expect(answer.rejected === "TypeError", `the page got ${JSON.stringify(answer)}`);
  }
  function expectPreflight({ preflights }, wanted) {
    expect(preflights.includes(wanted), `the preflights seen are: ${preflights.join(", ")}`);
  }

  await test("a listed origin reads a public answer, without and with credentials", async () => {
    await expectAnswer("/open", {}, 200, { open: true });
    await expectAnswer("/open", { credentials: "include" }, 200, { open: true });
    expect(a.preflights.length === 0, `simple requests had preflights: ${a.preflights.join(", ")}`);
  });
  await test("it reads a guarded answer with Authorization and a cookie, after a preflight", async () => {
    await expectAnswer("/me", read, 200, { subject: "ada", visit: "second", notes: 0 });
    expectPreflight(a, "OPTIONS /me");
  });
  await test("it posts JSON with both, after a preflight", async () => {
    await expectAnswer("/notes", write, 201, { text: "hello" });
    expectPreflight(a, "OPTIONS /notes");
  });
  await test("it reads what a refusal says", async () => {
    const answer = await ask(a.page, `${base}/me`, { credentials: "include" });
    expect(answer.status === 401 && answer.body.detail, `the page got ${JSON.stringify(answer)}`);
  });
  await test("another origin is refused a simple request, without and with credentials", async () => {
    await expectRejected("/open", {});
    await expectRejected("/open", { credentials: "include" });
  });
  await test("it is refused a guarded answer with Authorization", async () => {
    await expectRejected("/me", read);
    expectPreflight(b, "OPTIONS /me");
  });
  await test("it is refused a POST of JSON, which never reaches the app", async () => {
    await expectRejected("/notes", write);
    expectPreflight(b, "OPTIONS /notes");
    await expectAnswer("/me", read, 200, { subject: "ada", visit: "second", notes: 1 });
  });
}

const pages = [await serve("127.0.0.1"), await serve("localhost"), await serve("127.0.0.1")];
try {
  const server = await start(process.argv[2], pages[0].origin);
  try {
    const [listed, other, neighbour] = pages.map((page) => page.origin);
    await drive(async (page) => {
      await run(page.context(), server.base, listed, other);
      await runForms(page.context(), server.base, listed, neighbour, other);
    });
  } finally {
    server.close();
  }
} finally {
  for (const page of pages) page.close();
}

// SPDX-License-Identifier: MIT
// docs.mjs BASE_URL: opens the docs page of a running apps/users in Chromium as a
// person would, makes a user with "Try it out", and logs in as it. Prints TAP; exit status 0 when
// all passed. The page must stay silent on the console and reach no other origin.
import { authorize } from "./authorize.mjs";
import { drive, expect, test } from "./driver.mjs";

const base = new URL(process.argv[2]);
const email = `reader-${Date.now()}@example.com`;
const user = { email, name: "A Reader", role: "user", age: 40, password: "correct horse" };

function expectNone(list, what) {
  expect(list.length === 0, `${what}:\n${list.join("\n")}`);
}

// Everything that the page says or asks for, from before it is loaded.
function watch(page) {
  const seen = { complaints: [], elsewhere: [], refused: [], requests: [] };
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) seen.complaints.push(`${message.type()}: ${message.text()}`);
  });
  page.on("pageerror", (error) => seen.complaints.push(`exception: ${error.message}`));
  page.on("request", (request) => {
    const url = new URL(request.url());
    seen.requests.push(url.pathname);
    if (!["data:", "blob:"].includes(url.protocol) && url.origin !== base.origin) seen.elsewhere.push(request.url());
  });
  page.on("response", (response) => {
    if (response.status() >= 400) seen.refused.push(`${response.status()} ${response.url()}`);
  });
  return seen;
}

async function run(page) {
  const seen = watch(page);
  const operation = page.locator(".opblock", { has: page.locator('[data-path="/users"]') }).and(page.locator(".opblock-post"));

  await test("the page shows the API's title", async () => {
    const response = await page.goto(new URL("docs", base).href);
    expect(response.status() === 200, `the status is ${response.status()}`);
    const { info } = await (await page.request.get(new URL("openapi.json", base).href)).json();
    await page.locator("h1, h2", { hasText: info.title }).first().waitFor();
    expect((await page.title()) === info.title, `the window's title is ${await page.title()}`);
  });
  await test("the policy allows no inline script", async () => {
    const policy = (await page.request.get(new URL("docs", base).href)).headers()["content-security-policy"] ?? "";
    expect(policy.includes("default-src 'none'") && /script-src 'self'(;|$)/.test(policy), `the policy is "${policy}"`);
  });
  await test("every operation of the document is shown", async () => {
    const { paths } = await (await page.request.get(new URL("openapi.json", base).href)).json();
    const wanted = Object.values(paths).reduce((sum, item) => sum + Object.keys(item).length, 0);
    const shown = await page.locator(".opblock").count();
    expect(wanted > 0 && shown === wanted, `${shown} operations are shown, ${wanted} are in the document`);
  });
  await test("POST /users opens and shows a body to start from", async () => {
    await operation.locator(".opblock-summary").click();
    await operation.getByRole("button", { name: "Try it out" }).click();
    const text = await operation.locator("textarea.body-param__text").inputValue();
    const names = Object.keys(JSON.parse(text));
    for (const name of Object.keys(user)) expect(names.includes(name), `the body shown has no ${name}: ${text}`);
  });
  await test("executing it makes a user, and the page shows the 201", async () => {
    await operation.locator("textarea.body-param__text").fill(JSON.stringify(user));
    await operation.getByRole("button", { name: "Execute" }).click();
    const live = operation.locator(".live-responses-table .response");
    await live.waitFor();
    const status = await live.locator(".response-col_status").innerText();
    const body = await live.locator(".response-col_description").innerText();
    expect(status.trim().startsWith("201"), `the page shows ${status}: ${body}`);
    expect(body.includes(email), `the page does not show the user: ${body}`);
  });
  await test("the console stayed silent", async () => expectNone(seen.complaints, "the console has"));
  await test("nothing was refused", async () => expectNone(seen.refused, "refused"));
  await test("no other origin was asked", async () => {
    expect(seen.requests.includes("/docs") && seen.requests.includes("/users"), `the requests seen are ${seen.requests}`);
    expectNone(seen.elsewhere, "asked for");
  });
  await test("a body that breaks the model shows the 422", async () => {
    await operation.locator("textarea.body-param__text").fill(JSON.stringify({ ...user, age: -1 }));
    await operation.getByRole("button", { name: "Execute" }).click();
    const live = operation.locator(".live-responses-table .response");
    await live.locator(".response-col_status", { hasText: "422" }).waitFor();
    const body = await live.locator(".response-col_description").innerText();
    expect(body.includes("greater_than_equal") && body.includes("age"), `the page shows ${body}`);
  });
  await authorize(page, user);
}

await drive(run);

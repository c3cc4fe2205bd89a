// SPDX-License-Identifier: MIT
// The docs page's Authorize button: logs in with a password as the document's
// token_url says, takes an API key, and "Try it out" then sends what it has.
import { expect, test } from "./driver.mjs";

export async function authorize(page, user) {
  const me = page.locator(".opblock", { has: page.locator('[data-path="/me"]') }).and(page.locator(".opblock-get"));
  const live = me.locator(".live-responses-table .response");
  const form = page.locator(".auth-container", { has: page.locator("#oauth_username") });

  await test("GET /me without a token shows the 401", async () => {
    await me.locator(".opblock-summary-control").click();
    await me.getByRole("button", { name: "Try it out" }).click();
    await me.getByRole("button", { name: "Execute" }).click();
    await live.locator(".response-col_status", { hasText: "401" }).waitFor();
  });
  await test("the Authorize button logs in with the password", async () => {
    await page.locator(".auth-wrapper .btn.authorize").first().click();
    await form.locator("#oauth_username").fill(user.email);
    await form.locator("#oauth_password").fill(user.password);
    const answer = page.waitForResponse((response) => new URL(response.url()).pathname === "/token");
    await form.getByRole("button", { name: "Apply given OAuth2 credentials" }).click();
    const response = await answer;
    expect(response.status() === 200, `the login is answered with ${response.status()}: ${await response.text()}`);
    await page.locator(".auth-container button", { hasText: "Logout" }).waitFor();
    await page.locator(".modal-ux .close-modal").click();
  });
  await test("GET /me then shows the 200 and who logged in", async () => {
    await me.getByRole("button", { name: "Execute" }).click();
    await live.locator(".response-col_status", { hasText: "200" }).waitFor();
    const body = await live.locator(".response-col_description").innerText();
    expect(body.includes(user.email), `the page shows ${body}`);
  });
  await authorizeByKey(page);
}

async function authorizeByKey(page) {
  const list = page.locator(".opblock", { has: page.locator('[data-path="/users"]') }).and(page.locator(".opblock-get"));
  const live = list.locator(".live-responses-table .response");
  const form = page.locator(".auth-container", { has: page.locator("#api_key_value") });

  await test("GET /users is not for a user's token", async () => {
    await list.locator(".opblock-summary-control").click();
    await list.getByRole("button", { name: "Try it out" }).click();
    await list.getByRole("button", { name: "Execute" }).click();
    await live.locator(".response-col_status", { hasText: "403" }).waitFor();
  });
  await test("GET /users shows the 200 once the Authorize button has an API key", async () => {
    await page.locator(".auth-wrapper .btn.authorize").first().click();
    await page.locator(".auth-container button", { hasText: "Logout" }).click(); // or the token would say who it is
    await form.locator("#api_key_value").fill(process.env.SERVICE_KEY);
    await form.getByRole("button", { name: "Apply credentials" }).click();
    await page.locator(".modal-ux .close-modal").click();
    await list.getByRole("button", { name: "Execute" }).click();
    await live.locator(".response-col_status", { hasText: "200" }).waitFor();
  });
}

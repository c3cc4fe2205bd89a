// SPDX-License-Identifier: MIT
// reload.mjs BASE_URL FOLDER: the docs page of an app that is being written shows what
// was saved, and why something was not loaded. FOLDER is the served app's and is changed.
import { readFileSync, writeFileSync } from "node:fs";
import { drive, expect, test } from "./driver.mjs";

const base = new URL(process.argv[2]);
const file = `${process.argv[3]}/app.lua`;
const before = readFileSync(file, "utf8");

async function run(page) {
  const banner = page.locator("#reload-problem");
  await page.goto(new URL("docs", base).href);
  await page.locator(".opblock").first().waitFor();

  await test("a page of an app that loads has no complaint", async () => expect(!(await banner.isVisible()), "the banner is shown"));
  await test("a saved mistake is shown, with its line", async () => {
    writeFileSync(file, `${before}\nlocal = 1\n`);
    await banner.filter({ hasText: "app.lua:" }).waitFor({ state: "visible" });
    const text = await banner.innerText();
    expect(text.includes("local = 1"), `the banner says ${text}`);
  });
  await test("the app went on meanwhile", async () => {
    const status = (await page.request.get(new URL("openapi.json", base).href)).status();
    expect(status === 200, `the status is ${status}`);
  });
  await test("a saved mend takes it away, and the new route is there without a reload of the page", async () => {
    writeFileSync(file, before.replace("return app", 'app:get("/saved", { guard = guard.public }, function() return "saved" end)\nreturn app'));
    await page.locator('[data-path="/saved"]').waitFor();
    await banner.waitFor({ state: "hidden" });
  });
}

await drive(run);

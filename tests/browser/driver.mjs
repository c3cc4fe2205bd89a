// SPDX-License-Identifier: MIT
// What the tests in Chromium share: TAP, and a browser with a profile of its own.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium } from "playwright-core";

const CHROMIUM = process.env.CHROMIUM ?? "/usr/bin/chromium";
const ARGUMENTS = [
  "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
  "--disable-background-networking", "--disable-component-update", "--disable-sync",
];

let count = 0;
let failures = 0;

export async function test(name, run) {
  count += 1;
  try {
    await run();
    console.log(`ok ${count} - ${name}`);
  } catch (error) {
    failures += 1;
    console.log(`not ok ${count} - ${name}`);
    console.log(String(error.stack ?? error).replace(/^/gm, "# "));
  }
}

export function expect(truth, message) {
  if (!truth) throw new Error(message);
}

// Runs the tests with a page, then prints the plan and sets the exit status.
export async function drive(run) {
  const profile = await mkdtemp(join(tmpdir(), "demilune-chromium-"));
  try {
    const context = await chromium.launchPersistentContext(profile, { executablePath: CHROMIUM, headless: true, args: ARGUMENTS });
    context.setDefaultTimeout(20000);
    try {
      await run(context.pages()[0] ?? (await context.newPage()));
    } finally {
      await context.close();
    }
  } finally {
    await rm(profile, { recursive: true, force: true });
  }
  console.log(`1..${count}`);
  process.exitCode = failures > 0 ? 1 : 0;
}

// SPDX-License-Identifier: MIT
// told.mjs FILE: whether a README has the words of each difference that check.mjs lets pass. Exit status 0, or 1 with those it has not.
import { untold } from "./differences.mjs";

const missing = await untold(process.argv[2]);
for (const name of missing) console.log(`the README does not tell of: ${name}`);
process.exitCode = missing.length > 0 ? 1 : 0;

// SPDX-License-Identifier: MIT
// lint.mjs FILE: what Redocly's linter finds wrong with a document, of what is a
// defect and no matter of taste. Exit status 0, or 1 with what it is.
import { readFile } from "node:fs/promises";
import { createConfig, lintFromString } from "@redocly/openapi-core";

const RULES = [
  "struct", "no-unresolved-refs", "security-defined", "operation-operationId-unique", "operation-operationId-url-safe", "operation-parameters-unique",
  "operation-2xx-response", "path-parameters-defined", "path-declaration-must-exist", "no-identical-paths", "path-not-include-query", "no-enum-type-mismatch",
  "no-schema-type-mismatch", "no-required-schema-properties-undefined", "no-invalid-media-type-examples", "no-invalid-parameter-examples",
  "no-invalid-schema-examples", "no-undefined-server-variable", "spec-components-invalid-map-name",
];

const file = process.argv[2];
const problems = await lintFromString({ source: await readFile(file, "utf8"), absoluteRef: file, config: await createConfig({ rules: Object.fromEntries(RULES.map((rule) => [rule, "error"])) }) });
for (const problem of problems) console.log(`${problem.ruleId}: ${problem.message.replace(/\s+/g, " ")} at ${problem.location?.[0]?.pointer}`);
process.exitCode = problems.length > 0 ? 1 : 0;

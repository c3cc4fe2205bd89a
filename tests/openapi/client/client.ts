// SPDX-License-Identifier: MIT
// client.js URL: apps/users through the types that openapi-typescript makes of its
// document. What the compiler must refuse is marked, and it fails where it does not.
// Prints TAP.
import createClient from "openapi-fetch";
import type { components, paths } from "./schema.js";

declare const process: { argv: string[]; exitCode: number | undefined };

type CreateUser = components["schemas"]["CreateUser"];
type User = components["schemas"]["User"];

const ada: CreateUser = { email: "ada@example.com", name: "Ada Lovelace", role: "editor", age: 36, password: "correct horse" };
// @ts-expect-error no such role
export const wrongRole: CreateUser = { ...ada, role: "admin" };
// @ts-expect-error the age is missing
export const missing: CreateUser = { email: "ada@example.com", name: "Ada", role: "user", password: "correct horse" };
// @ts-expect-error a number is no name
export const wrongType: CreateUser = { ...ada, name: 7 };

let count = 0;
function check(name: string, holds: boolean): void {
  if (!holds) process.exitCode = 1;
  console.log(`${holds ? "ok" : "not ok"} ${++count} - a generated client ${name}`);
}

const client = createClient<paths>({ baseUrl: process.argv[2] });

const made = await client.POST("/users", { body: ada });
const user: User | undefined = made.data;
check("makes a user", made.response.status === 201 && user?.email === ada.email && user.role === "editor");

const again = await client.POST("/users", { body: ada });
check("is told of a conflict", again.response.status === 409 && again.error !== undefined);

const refused = await client.POST("/users", { body: { ...ada, age: 200 } });
const problems = refused.response.status === 422 ? (refused.error as components["schemas"]["HTTPValidationError"]).detail : [];
check("reads where a mistake is", problems.length === 1 && problems[0].loc.join(".") === "body.age" && problems[0].type === "less_than_equal");

const login = await client.POST("/token", {
  body: { username: ada.email, password: ada.password },
  bodySerializer: (form) => new URLSearchParams(form),
  headers: { "Content-Type": "application/x-www-form-urlencoded" },
});
check("logs in by a form", login.data?.token_type === "bearer" && login.data.expires_in === 900);

const headers = { Authorization: `Bearer ${login.data?.access_token}` };
const me = await client.GET("/me", { headers });
check("reads itself", me.data?.id === user?.id);

const changed = await client.PATCH("/users/{user_id}", { params: { path: { user_id: user?.id ?? 0 } }, body: { name: "Ada King" }, headers });
check("changes one field", changed.data?.name === "Ada King" && changed.data.age === 36);

const listed = await client.GET("/users", { params: { query: { limit: 1 } }, headers });
check("is kept from what is for admins", listed.response.status === 403);
console.log(`1..${count}`);

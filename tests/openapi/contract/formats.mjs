// SPDX-License-Identifier: MIT
// The formats of documents: what is one, by ajv-formats or, for formats it has not,
// by OpenAPI's registry; texts that are one, and texts that nearly are.
import { fullFormats } from "ajv-formats/dist/formats.js";

const IPV4 = /^(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)\.){3}(?:25[0-5]|2[0-4]\d|1?\d?\d)$/;

function bytesOfIpv6(text) {
  const [head, tail] = text.split("::");
  const words = (part) => (part ? part.split(":").flatMap((word) => (word.includes(".") ? dotted(word) : [parseInt(word, 16)])) : []);
  const dotted = (word) => {
    const [a, b, c, d] = word.split(".").map(Number);
    return [a * 256 + b, c * 256 + d];
  };
  const before = words(head), after = tail === undefined ? [] : words(tail);
  const all = tail === undefined ? before : [...before, ...Array(8 - before.length - after.length).fill(0), ...after];
  return all.flatMap((word) => [word >> 8, word & 255]);
}

// A network: an address, a prefix, and no bits behind it.
function isCidr(text) {
  const match = /^([^/]+)\/(0|[1-9]\d{0,2})$/.exec(text);
  if (!match) return false;
  const four = IPV4.test(match[1]);
  if (!four && !fullFormats.ipv6.test(match[1])) return false;
  const bytes = four ? match[1].split(".").map(Number) : bytesOfIpv6(match[1]);
  const prefix = Number(match[2]);
  if (prefix > bytes.length * 8) return false;
  return bytes.every((byte, at) => (byte & (255 >> Math.min(8, Math.max(0, prefix - at * 8)))) === 0);
}

// What ajv is told besides its own formats.
export const MORE_FORMATS = {
  "double-int": { type: "number", validate: (number) => Number.isSafeInteger(number) },
  int64: { type: "number", validate: (number) => Number.isInteger(number) && number >= -(2 ** 63) && number < 2 ** 63 },
  decimal: /^-?\d{1,50}(?:\.\d{1,50})?$/,
  cidr: isCidr,
  password: true,
};

export const GOOD = {
  email: ["ada@example.com", "A.b+c@Example.ORG", "x_y-z@sub.domain.example", "o'neil@a-b.example", "a@b.museum"],
  uri: ["https://b.example/", "http://b.example", "https://u:p@b.example:8443/a/b?c=d&e#f", "http://192.0.2.1/", "http://[2001:db8::1]/x", "HTTPS://B.example/%7Ea",
    "https://b.example/a/../c"],
  uuid: ["123e4567-e89b-12d3-a456-426614174000", "00000000-0000-0000-0000-000000000000", "ABCDEF01-2345-6789-ABCD-EF0123456789"],
  date: ["2030-01-31", "2024-02-29", "0001-01-01", "9999-12-31", "1999-12-31", "2000-01-01", "2030-12-31"],
  time: ["10:00:00Z", "23:59:59.999999Z", "00:00:00+02:00", "08:00:01-11:30", "12:34:56.7z", "08:00:00Z", "09:00:00Z"],
  "date-time": ["2030-01-31T10:00:00Z", "2030-01-31T23:59:59.5+02:00", "1970-01-01t00:00:00z", "2024-02-29T00:00:00-12:00", "2019-12-31T23:59:59Z", "2020-01-01T00:00:00Z"],
  duration: ["PT1M30S", "P1D", "P1DT2H3M4S", "PT0S", "P2W", "P1Y2M3D", "PT15M", "PT16M"],
  ipv4: ["192.0.2.1", "0.0.0.0", "255.255.255.255"],
  ipv6: ["2001:db8::1", "::", "::1", "::ffff:192.0.2.1", "2001:DB8:0:0:0:0:0:1", "1:2:3:4:5:6:7:8"],
  cidr: ["192.0.2.0/24", "0.0.0.0/0", "2001:db8::/32", "192.0.2.1/32", "::/0", "10.128.0.0/9"],
  decimal: ["0", "12.50", "-3", "0.01", "99.99", "100", "1.005", "0.001", "12345678901234567890.123456789"],
  password: ["correct horse", "12345678", "ääääääää", "short", "exactly12chr", "thirteen-char", "a b"],
};

export const NEAR = {
  email: ["", "ada", "ada@", "@example.com", "a b@example.com", "a@b", "a..b@example.com", "a@-b.example", "a@b.example.", "a@1.2.3.4", `${"a".repeat(65)}@b.example`,
    "a@b_c.example", '"a b"@example.com', "ä@example.com"],
  uri: ["", "example.com", "/relative", "//b.example/", "http:b.example", "http://", "ftp://b.example/", "urn:isbn:1", "http://b .example/", "http://b.example/ x",
    "http://0x7f.1/", "http://b.example:99999/", "http://b.example/\\x", "mailto:a@b.example", "http://b.example/ä", "http://a@b@c.example/", `https://b.example/${"x".repeat(2100)}`],
  uuid: ["", "123e4567e89b12d3a456426614174000", "{123e4567-e89b-12d3-a456-426614174000}", "urn:uuid:123e4567-e89b-12d3-a456-426614174000", "123e4567-e89b-12d3-a456-42661417400",
    "g23e4567-e89b-12d3-a456-426614174000"],
  date: ["", "2030-02-30", "2023-02-29", "2030-13-01", "30-01-01", "2030-1-1", "2030-01-31T00:00:00Z", "0000-01-01", "20300131", "2030-01-31 ", "10000-01-01"],
  time: ["", "10:00:00", "10:00", "24:00:00Z", "23:59:60Z", "10:60:00Z", "10:00:00+24:00", "10:00:00 Z", "1:00:00Z", "10:00:00,5Z", "10:00:00.Z", "10:00:00+0200"],
  "date-time": ["", "2030-01-31", "2030-01-31T10:00:00", "2030-01-31 10:00:00Z", "2030-01-31T24:00:00Z", "2030-01-31T23:59:60Z", "2030-02-30T00:00:00Z", "2030-01-31_10:00:00Z",
    "2030-01-31T10:00Z", "0001-01-01T00:00:00+01:00", "20300131T100000Z", "2030-01-31T10:00:00"],
  duration: ["", "P", "PT", "1h", "90", "P1.5D", "PT1.5S", "-P1D", "+P1D", "P1S", "P1W2D", "01:30:00", "1 days", "P9999999999D", "P1D2H", "PT1M1H", "P1H"],
  ipv4: ["", "192.0.2", "256.0.0.1", "192.0.2.01", "192.0.2.1.1", "0x7f.0.0.1", "1.2.3.4/32"],
  ipv6: ["", ":::", "1:2:3:4:5:6:7", "fe80::1%eth0", "2001:db8::g", "::1.2.3", "[::1]", "12345::"],
  cidr: ["", "192.0.2.1", "192.0.2.1/24", "192.0.2.0/33", "2001:db8::1/32", "::/129", "192.0.2.0/024", "192.0.2.0/"],
  decimal: ["", "1.", ".5", "1e5", "+1", " 1 ", "1_000", "NaN", "Infinity", "0x10", "1,5", "--1", "9".repeat(101)],
  password: ["", "1234567", "ä"],
};

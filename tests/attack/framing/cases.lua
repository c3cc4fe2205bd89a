-- SPDX-License-Identifier: MIT
-- Bytes that two programs could read as different numbers of requests, by the promise that holds against them. The specs beside this file
-- send them to Demilune; agrees_with_nginx_spec.lua sends the same ones through nginx.

local HIDDEN = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n" -- must never be seen as a request where it is, or should be, a body

local function refused(name, bytes, status) return { name = name, bytes = bytes, answers = { status or 400 } } end
local function served(name, bytes, ...) return { name = name, bytes = bytes, answers = { ... }, stays = true } end
-- Answered before the body is read, and so with the end of the connection, unless the body lies behind its head in one piece of known length.
local function early(name, bytes, status) return { name = name, bytes = bytes, answers = { status }, stays = true, early = true } end
local function early_chunks(name, bytes, status) return { name = name, bytes = bytes, answers = { status } } end

local function request(line, fields, body)
  return line .. "\r\nHost: a\r\n" .. (fields == "" and "" or fields .. "\r\n") .. "\r\n" .. (body or "")
end
local function get(fields, body) return request("GET / HTTP/1.1", fields, body) end
local function post(fields, body) return request("POST /echo HTTP/1.1", fields, body) end
local function chunked(body) return post("Transfer-Encoding: chunked", body) end
local function length(bytes) return "Content-Length: " .. #bytes end

local CHUNKED_HIDDEN = ("%x\r\n%s\r\n0\r\n\r\n"):format(#HIDDEN, HIDDEN)

local cases = {}

cases.line_ends = {
  refused("a bare CR before a field", "GET / HTTP/1.1\r\nHost: a\r\nX-A: \rX-B: 1\r\n\r\n"),
  refused("a bare CR before a Transfer-Encoding", post("X: a\rTransfer-Encoding: chunked", "0\r\n\r\n" .. HIDDEN)),
  refused("an end of the head whose last byte is no LF", "GET / HTTP/1.1\r\nHost: a\r\n\r" .. HIDDEN),
  refused("CR CR LF at the end of a field", "GET / HTTP/1.1\r\nHost: a\r\r\n\r\n"),
  refused("a bare LF behind the request line", "GET / HTTP/1.1\nHost: a\r\n\r\n"),
  refused("a bare LF before the request line", "\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"),
  refused("a bare LF behind a field", "GET / HTTP/1.1\r\nHost: a\nContent-Length: 35\r\n\r\n" .. HIDDEN),
  refused("two bare LF at the end of the head", "GET / HTTP/1.1\r\nHost: a\n\n" .. HIDDEN),
  refused("LF CR", "GET / HTTP/1.1\n\rHost: a\n\r\n\r"),
  refused("a folded line that hides a length", "POST /echo HTTP/1.1\r\nHost: a\r\n Content-Length: 35\r\n\r\n" .. HIDDEN),
  refused("a folded line that hides chunks", post("X: a\r\n\tTransfer-Encoding: chunked", CHUNKED_HIDDEN)),
  refused("a folded Transfer-Encoding", post("Transfer-Encoding:\r\n chunked", CHUNKED_HIDDEN)),
  refused("a folded first field", "GET / HTTP/1.1\r\n Host: a\r\n\r\n"),
  refused("a NUL in a value", get "X: a\0b"),
  refused("a vertical tab before a coding", post("Transfer-Encoding: \11chunked", CHUNKED_HIDDEN)),
  refused("a form feed behind a coding", post("Transfer-Encoding: chunked\12", CHUNKED_HIDDEN)),
  refused("a DEL in a value", get "X: a\127b"),
}

cases.request_lines = {
  refused("two spaces", "GET  / HTTP/1.1\r\nHost: a\r\n\r\n"),
  refused("two spaces before the version", "GET /  HTTP/1.1\r\nHost: a\r\n\r\n"),
  refused("a space behind the version", "GET / HTTP/1.1 \r\nHost: a\r\n\r\n"),
  refused("a space before the method", " GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
  refused("a tab between its parts", "GET\t/\tHTTP/1.1\r\nHost: a\r\n\r\n"),
  refused("a target that holds another request line", "GET / HTTP/1.1/smuggled HTTP/1.1\r\nHost: a\r\n\r\n"),
  refused("no version, as HTTP/0.9", "GET /\r\n\r\n"),
  refused("the preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
  refused("HTTP/2.0", "GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505),
  refused("HTTP/1.2", "GET / HTTP/1.2\r\nHost: a\r\n\r\n", 505),
  refused("HTTP/1.10", "GET / HTTP/1.10\r\nHost: a\r\n\r\n"),
  refused("a version in small letters", "GET / http/1.1\r\nHost: a\r\n\r\n"),
  refused("ICE/1.0", "GET / ICE/1.0\r\nHost: a\r\n\r\n"),
  refused("RTSP/1.0", "DESCRIBE / RTSP/1.0\r\nHost: a\r\n\r\n"),
  refused("a method of Icecast", "SOURCE / HTTP/1.1\r\nHost: a\r\n\r\n", 501),
  refused("a method in small letters", "get / HTTP/1.1\r\nHost: a\r\n\r\n", 501),
  refused("a method that is none", "G(T / HTTP/1.1\r\nHost: a\r\n\r\n"),
  refused("CONNECT", "CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n", 501),
  refused("a byte over 0x7f in the target", "GET /\228 HTTP/1.1\r\nHost: a\r\n\r\n"),
  refused("a fragment", "GET /#fragment HTTP/1.1\r\nHost: a\r\n\r\n"),
  refused("a target without a slash", "GET smuggled HTTP/1.1\r\nHost: a\r\n\r\n"),
  refused("a target and a Host that differ", "GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n"),
  refused("a target with a user in it", "GET http://a@b/ HTTP/1.1\r\nHost: b\r\n\r\n"),
  refused("two Host fields", get "Host: b"),
  refused("a Host with a space", "GET / HTTP/1.1\r\nHost: a b\r\n\r\n"),
  refused("a Host with a path", "GET / HTTP/1.1\r\nHost: a/smuggled\r\n\r\n"),
  refused("no Host", "GET / HTTP/1.1\r\n\r\n"),
  refused("a version with a zero in front", "GET / HTTP/01.1\r\nHost: a\r\n\r\n"),
  refused("a version with a third number", "GET / HTTP/1.1.1\r\nHost: a\r\n\r\n"),
  refused("a version with a comma", "GET / HTTP/1,1\r\nHost: a\r\n\r\n"),
  refused("a version with a sign", "GET / HTTP/+1.1\r\nHost: a\r\n\r\n"),
  refused("a version with a NUL behind it", "GET / HTTP/1.1\0\r\nHost: a\r\n\r\n"),
  refused("HTTP/0.9 in the line", "GET / HTTP/0.9\r\nHost: a\r\n\r\n"),
  refused("HTTP/3.0", "GET / HTTP/3.0\r\nHost: a\r\n\r\n", 505),
  refused("TRACE", "TRACE / HTTP/1.1\r\nHost: a\r\n\r\n", 501),
  refused("CONNECT to a path", "CONNECT / HTTP/1.1\r\nHost: a\r\n\r\n", 501),
  refused("an asterisk for GET", "GET * HTTP/1.1\r\nHost: a\r\n\r\n"),
  refused("a target with a user and a password", "GET http://a:b@a/ HTTP/1.1\r\nHost: a\r\n\r\n"),
  refused("a target without a host", "GET http:///smuggled HTTP/1.1\r\nHost: a\r\n\r\n"),
  refused("a target whose port the Host has not", "GET http://a:80/ HTTP/1.1\r\nHost: a\r\n\r\n"),
  refused("a target of another scheme", "GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n"),
  refused("a target with a fragment behind its host", "GET http://a#@b/ HTTP/1.1\r\nHost: a\r\n\r\n"),
  refused("a target with a backslash behind its host", "GET http://a\\@b/ HTTP/1.1\r\nHost: a\r\n\r\n"),
  refused("a target without a scheme", "GET //b/ HTTP/1.1\r\nHost: a\r\n\r\n"),
  refused("an empty Host", "GET / HTTP/1.1\r\nHost:\r\n\r\n"),
  refused("a Host with a user in it", "GET / HTTP/1.1\r\nHost: b@a\r\n\r\n"),
  refused("a Host with two ports", "GET / HTTP/1.1\r\nHost: a:80:80\r\n\r\n"),
  refused("a Host whose port is too large", "GET / HTTP/1.1\r\nHost: a:65536\r\n\r\n"),
  refused("a Host whose port is no number", "GET / HTTP/1.1\r\nHost: a:@b\r\n\r\n"),
  refused("a list of Hosts", "GET / HTTP/1.1\r\nHost: a, b\r\n\r\n"),
  refused("a Host whose bracket is not closed", "GET / HTTP/1.1\r\nHost: [::1\r\n\r\n"),
  refused("a Host with a name in brackets", "GET / HTTP/1.1\r\nHost: [a]\r\n\r\n"),
  refused("a Host with something behind its bracket", "GET / HTTP/1.1\r\nHost: [::1]a\r\n\r\n"),
  refused("a Host with a zone", "GET / HTTP/1.1\r\nHost: [fe80::1%eth0]\r\n\r\n"),
  refused("two Hosts that agree", get "Host: a"),
  served("a target and a Host that agree", "GET http://A/ HTTP/1.1\r\nHost: a\r\n\r\n", 200),
  served("empty lines before it", "\r\n\r\n" .. get "", 200),
}

cases.field_names = {
  refused("a space before the colon of Host", "GET / HTTP/1.1\r\nHost : a\r\n\r\n"),
  refused("a space before the colon of Content-Length", post("Content-Length : 35", HIDDEN)),
  refused("a tab before the colon of Transfer-Encoding", post("Transfer-Encoding\t: chunked", CHUNKED_HIDDEN)),
  refused("an empty name", get ": a"),
  refused("a field without a colon", get "Transfer-Encoding"),
  refused("a NUL in a name", post("Content-Length\0: 35", HIDDEN)),
  refused("a byte over 0x7f in a name", post("Content-Length\160: 35", HIDDEN)),
  refused("a name in quotes", post('"Content-Length": 35', HIDDEN)),
  served("a name with an underscore, which is another name", get "X_User: trailer", 200),
}

cases.two_lengths = {
  refused("CL.TE: a length and chunks", post("Content-Length: 5\r\nTransfer-Encoding: chunked", "0\r\n\r\n" .. HIDDEN)),
  refused("TE.CL: chunks and a length", post("Transfer-Encoding: chunked\r\nContent-Length: 4", CHUNKED_HIDDEN)),
  refused("a length and an empty Transfer-Encoding", post("Content-Length: 35\r\nTransfer-Encoding:", HIDDEN)),
  refused("a length and Transfer-Encoding: identity", post("Content-Length: 35\r\nTransfer-Encoding: identity", HIDDEN)),
  refused("a length of 0 and chunks", post("Content-Length: 0\r\nTransfer-Encoding: chunked", CHUNKED_HIDDEN)),
  refused("CL.CL: two lengths", post("Content-Length: 0\r\nContent-Length: 35", HIDDEN)),
  refused("two lengths that agree", post("Content-Length: 35\r\nContent-Length: 35", HIDDEN)),
  refused("a list of lengths", post("Content-Length: 35, 35", HIDDEN)),
  refused("a list of two lengths", post("Content-Length: 0,35", HIDDEN)),
  refused("a length with a sign", post("Content-Length: +35", HIDDEN)),
  refused("a length below zero", post("Content-Length: -35", HIDDEN)),
  refused("a length in hexadecimal", post("Content-Length: 0x23", HIDDEN)),
  refused("a length with a point", post("Content-Length: 35.0", HIDDEN)),
  refused("a length with an exponent", post("Content-Length: 3e1", HIDDEN)),
  refused("a length with a space in it", post("Content-Length: 3 5", HIDDEN)),
  refused("a length with an underscore", post("Content-Length: 3_5", HIDDEN)),
  refused("an empty length", post("Content-Length:", HIDDEN)),
  refused("a length beyond 64 bits, which would wrap round to 35", post("Content-Length: 18446744073709551651", HIDDEN)),
  refused("a length in digits that are not ASCII", post("Content-Length: \217\163\217\165", HIDDEN)),
  served("a length with zeros in front, which is that length", post("Content-Length: 0035", HIDDEN), 200),
}

cases.codings = {
  refused("TE.TE: a coding that only looks like chunked", post("Transfer-Encoding: xchunked", CHUNKED_HIDDEN)),
  refused("chunked with a parameter", post("Transfer-Encoding: chunked;q=1", CHUNKED_HIDDEN)),
  refused("chunked in quotes", post('Transfer-Encoding: "chunked"', CHUNKED_HIDDEN)),
  refused("chunked in single quotes", post("Transfer-Encoding: 'chunked'", CHUNKED_HIDDEN)),
  refused("chunked before another coding", post("Transfer-Encoding: chunked, identity", CHUNKED_HIDDEN)),
  refused("chunked behind another coding", post("Transfer-Encoding: identity, chunked", CHUNKED_HIDDEN), 501),
  refused("chunked behind gzip", post("Transfer-Encoding: gzip, chunked", CHUNKED_HIDDEN), 501),
  refused("chunked twice in a list", post("Transfer-Encoding: chunked, chunked", CHUNKED_HIDDEN)),
  refused("chunked twice in two fields", post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", CHUNKED_HIDDEN)),
  refused("chunked and another coding in two fields", post("Transfer-Encoding: chunked\r\nTransfer-Encoding: cow", CHUNKED_HIDDEN)),
  refused("another coding and chunked in two fields", post("Transfer-Encoding: cow\r\nTransfer-Encoding: chunked", CHUNKED_HIDDEN), 501),
  refused("an empty element behind chunked", post("Transfer-Encoding: chunked,", CHUNKED_HIDDEN)),
  refused("an empty element before chunked", post("Transfer-Encoding: ,chunked", CHUNKED_HIDDEN)),
  refused("a space in chunked", post("Transfer-Encoding: chunk ed", CHUNKED_HIDDEN)),
  refused("no coding", post("Transfer-Encoding:", CHUNKED_HIDDEN)),
  refused("identity alone", post("Transfer-Encoding: identity", HIDDEN)),
  served("chunked in capitals, which is chunked", post("Transfer-Encoding: CHUNKED", CHUNKED_HIDDEN), 200),
  served("chunked with spaces around, which is chunked", post("Transfer-Encoding:   chunked  ", CHUNKED_HIDDEN), 200),
  refused("chunked with tabs around, which some do not take for blanks", post("Transfer-Encoding: chunked\t", CHUNKED_HIDDEN)),
}

-- CL.0, 0.CL and TE.0: a program that does not look for a body where it expects none reads the body as the next request.
cases.bodies = {
  served("a length on GET", get(length(HIDDEN), HIDDEN), 200),
  served("chunks on GET", get("Transfer-Encoding: chunked", CHUNKED_HIDDEN), 200),
  served("a length on HEAD", request("HEAD / HTTP/1.1", length(HIDDEN), HIDDEN), 200),
  early("a length on OPTIONS, which no handler answers", request("OPTIONS / HTTP/1.1", length(HIDDEN), HIDDEN), 204),
  early_chunks("chunks on OPTIONS", request("OPTIONS / HTTP/1.1", "Transfer-Encoding: chunked", CHUNKED_HIDDEN), 204),
  early("a length on a preflight",
    request("OPTIONS / HTTP/1.1", "Origin: http://b\r\nAccess-Control-Request-Method: GET\r\n" .. length(HIDDEN), HIDDEN), 204),
  early("a length where there is no route", request("POST /nothing HTTP/1.1", length(HIDDEN), HIDDEN), 404),
  early_chunks("chunks where there is no route", request("POST /nothing HTTP/1.1", "Transfer-Encoding: chunked", CHUNKED_HIDDEN), 404),
  early("a length where the method is wrong", request("DELETE / HTTP/1.1", length(HIDDEN), HIDDEN), 405),
  early("a body that is compressed, which is refused", post("Content-Encoding: gzip\r\n" .. length(HIDDEN), HIDDEN), 415),
  served("a body behind Upgrade", post("Connection: Upgrade\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n" .. length(HIDDEN), HIDDEN), 200),
  served("a body whose length Connection calls its own", post("Connection: Content-Length\r\n" .. length(HIDDEN), HIDDEN), 200),
  served("chunks that Connection calls its own", post("Connection: Transfer-Encoding\r\nTransfer-Encoding: chunked", CHUNKED_HIDDEN), 200),
  served("a body behind TE", post("TE: trailers, chunked\r\nConnection: TE\r\n" .. length(HIDDEN), HIDDEN), 200),
  served("a Host that Connection calls its own", post("Connection: Host, X-User\r\n" .. length(HIDDEN), HIDDEN), 200),
  served("Connection: close in another field's name", post("Proxy-Connection: close\r\nKeep-Alive: timeout=0\r\n" .. length(HIDDEN), HIDDEN), 200),
  served("other method overrides", post("X-HTTP-Method: GET\r\nX-Method-Override: HEAD\r\n" .. length(HIDDEN), HIDDEN), 200),
  served("a target override", post("X-Original-URL: /smuggled\r\nX-Rewrite-URL: /smuggled\r\n" .. length(HIDDEN), HIDDEN), 200),
  served("a range, which nobody asks of a body", post("Range: bytes=0-0,0-0,-1\r\nIf-Range: \"a\"\r\n" .. length(HIDDEN), HIDDEN), 200),
  served("a method override, which is no method", post("X-HTTP-Method-Override: GET\r\n" .. length(HIDDEN), HIDDEN), 200),
  { name = "a request behind a length of 0 is a request",
    bytes = post("Content-Length: 0", HIDDEN), answers = { 200, 200 }, stays = true, smuggled = 1 },
  { name = "a body that never comes whole", bytes = post("Content-Length: 99", HIDDEN), answers = { 400 }, unfinished = true },
  { name = "chunks behind a name that is none of ours are no chunks",
    bytes = post("Transfer_Encoding: chunked", "0\r\n\r\n"), answers = { 200, 400 } },
}

cases.expectations = {
  served("with a length and the body at once", post("Expect: 100-continue\r\n" .. length(HIDDEN), HIDDEN), 200),
  served("with chunks", post("Expect: 100-continue\r\nTransfer-Encoding: chunked", CHUNKED_HIDDEN), 200),
  served("on GET, with a body", get("Expect: 100-continue\r\n" .. length(HIDDEN), HIDDEN), 200),
  served("in capitals", post("Expect: 100-CONTINUE\r\n" .. length(HIDDEN), HIDDEN), 200),
  served("without a body", get "Expect: 100-continue", 200),
  refused("another one before it", post("Expect: y 100-continue\r\n" .. length(HIDDEN), HIDDEN), 417),
  refused("another one", post("Expect: 200-ok\r\n" .. length(HIDDEN), HIDDEN), 417),
  refused("an empty one", post("Expect:\r\n" .. length(HIDDEN), HIDDEN), 417),
  refused("a list of them", post("Expect: 100-continue, x\r\n" .. length(HIDDEN), HIDDEN), 417),
  refused("two fields", post("Expect: 100-continue\r\nExpect: x\r\n" .. length(HIDDEN), HIDDEN)),
  refused("folded", post("Expect:\r\n 100-continue\r\n" .. length(HIDDEN), HIDDEN)),
  refused("folded behind its value", post("Expect: 100-continue\r\n\tx\r\n" .. length(HIDDEN), HIDDEN)),
  refused("two fields that agree", post("Expect: 100-continue\r\nExpect: 100-continue\r\n" .. length(HIDDEN), HIDDEN)),
  refused("a space before its colon", post("Expect : 100-continue\r\n" .. length(HIDDEN), HIDDEN)),
  refused("a bare CR in it", post("Expect: 100-\rcontinue\r\n" .. length(HIDDEN), HIDDEN)),
  refused("with a parameter", post("Expect: 100-continue;q=1\r\n" .. length(HIDDEN), HIDDEN), 417),
  refused("with an empty element", post("Expect: 100-continue,\r\n" .. length(HIDDEN), HIDDEN), 417),
  served("with a length of 0", post("Expect: 100-continue\r\nContent-Length: 0", ""), 200),
  served("named by Connection", post("Connection: Expect\r\nExpect: 100-continue\r\n" .. length(HIDDEN), HIDDEN), 200),
  refused("where there is no route", request("POST /nothing HTTP/1.1", "Expect: 100-continue\r\n" .. length(HIDDEN), HIDDEN), 404),
  refused("with two framings", post("Expect: 100-continue\r\nContent-Length: 5\r\nTransfer-Encoding: chunked", "0\r\n\r\n" .. HIDDEN)),
  refused("in HTTP/1.0, which knows of none", request("POST /echo HTTP/1.0", "Expect: 100-continue\r\n" .. length(HIDDEN), HIDDEN), 200),
}

cases.chunks = {
  served("an extension", chunked "5;a=b\r\nhello\r\n0;c\r\n\r\n", 200),
  served("an extension in quotes", chunked '5;a="b;c"\r\nhello\r\n0\r\n\r\n', 200),
  served("an extension of 255 bytes", chunked("5;" .. ("a"):rep(255) .. "\r\nhello\r\n0\r\n\r\n"), 200),
  refused("an extension of 256 bytes and more", chunked("5;" .. ("a"):rep(257) .. "\r\nhello\r\n0\r\n\r\n")),
  refused("an extension that ends in a bare LF", chunked("5;a\nhello\r\n0\r\n\r\n" .. HIDDEN)),
  refused("an extension with a bare CR", chunked("5;a\rX\r\nhello\r\n0\r\n\r\n")),
  refused("an extension of a bare LF", chunked("2;\nxx\r\n10\r\n0\r\n\r\n" .. HIDDEN)),
  refused("an extension that hides a line end in quotes", chunked('5;a="\r\nhello\r\n0\r\n\r\n"' .. HIDDEN)),
  refused("an extension whose quotes are not closed", chunked '5;a="b\r\nhello\r\n0\r\n\r\n'),
  refused("an extension whose last quote is escaped", chunked '5;a="b\\"\r\nhello\r\n0\r\n\r\n'),
  served("an extension with escaped quotes", chunked '5;a="b\\"\\\\";c\r\nhello\r\n0\r\n\r\n', 200),
  refused("an extension with a NUL", chunked "5;a\0\r\nhello\r\n0\r\n\r\n"),
  refused("an extension without a size", chunked ";a\r\n\r\n"),
  refused("a space before the extension", chunked "5 ;a\r\nhello\r\n0\r\n\r\n"),
  refused("a space behind the size", chunked "5 \r\nhello\r\n0\r\n\r\n"),
  refused("a tab before the size", chunked "\t5\r\nhello\r\n0\r\n\r\n"),
  refused("a size with 0x", chunked "0x5\r\nhello\r\n0\r\n\r\n"),
  refused("a size with a sign", chunked "+5\r\nhello\r\n0\r\n\r\n"),
  refused("a size below zero", chunked "-5\r\nhello\r\n0\r\n\r\n"),
  refused("a size with an underscore", chunked "0_5\r\nhello\r\n0\r\n\r\n"),
  refused("a size that wraps round at 64 bits", chunked "10000000000000005\r\nhello\r\n0\r\n\r\n"),
  refused("a size with zeros without end", chunked(("0"):rep(17) .. "5\r\nhello\r\n0\r\n\r\n")),
  served("a size with some zeros", chunked "0000000000000005\r\nhello\r\n000\r\n\r\n", 200),
  refused("a size that ends in a bare LF", chunked("5\nhello\r\n0\r\n\r\n")),
  refused("a size that ends in CR CR LF", chunked("5\r\r\nhello\r\n0\r\n\r\n")),
  refused("a NUL behind the size", chunked "5\0\r\nhello\r\n0\r\n\r\n"),
  refused("a bare CR behind the size", chunked "5\rX\r\nhello\r\n0\r\n\r\n"),
  refused("a size whose digits are split by a line end", chunked "0\r\n5\r\nhello\r\n0\r\n\r\n"),
  refused("a last size with a sign", chunked("-0\r\n\r\n" .. HIDDEN)),
  refused("no size", chunked "\r\nhello\r\n0\r\n\r\n"),
  refused("data that is not followed by CRLF", chunked "1\r\nxZZ0\r\n\r\n"),
  refused("data that is followed by a bare LF", chunked("5\r\nhello\n0\r\n\r\n" .. HIDDEN)),
  refused("data that is followed by two other bytes", chunked("5\r\nhelloXX0\r\n\r\n" .. HIDDEN)),
  refused("data that is longer than its size", chunked "3\r\nhello\r\n0\r\n\r\n"),
  refused("data that is shorter than its size", chunked("7\r\nhello\r\n0\r\n\r\n")),
  refused("a last chunk that ends in bare LFs", chunked("0\n\n" .. HIDDEN)),
  refused("a last chunk whose last line end is a bare LF", chunked("0\r\n\n" .. HIDDEN)),
  refused("a last chunk whose last line end is CR CR", chunked("0\r\n\r\r" .. HIDDEN)),
  served("a chunk that holds a request", chunked(CHUNKED_HIDDEN), 200),
  { name = "a size that no body comes to", bytes = chunked "ffffffffffffffff\r\nhello", answers = { 400 }, unfinished = true },
  { name = "a body without a last chunk", bytes = chunked "5\r\nhello\r\n", answers = { 400 }, unfinished = true },
}

local function trailer(fields) return chunked("5\r\nhello\r\n0\r\n" .. fields .. "\r\n\r\n") end

cases.trailers = {
  served("a field", trailer "X-User: trailer", 200),
  served("a field that was there before", post("X-User: a\r\nTransfer-Encoding: chunked", "0\r\nX-User: trailer\r\n\r\n"), 200),
  served("a length", trailer "Content-Length: 35", 200),
  served("a coding", trailer "Transfer-Encoding: chunked", 200),
  served("a host, credentials and a cookie", trailer "Host: trailer\r\nAuthorization: Bearer trailer\r\nCookie: trailer=1", 200),
  served("Connection: close", trailer "Connection: close", 200),
  served("Expect", trailer "Expect: 100-continue", 200),
  refused("a folded line", trailer "X: a\r\n Content-Length: 35"),
  refused("a space before the colon", trailer "Content-Length : 35"),
  refused("a bare LF", trailer("X: a\n\n" .. HIDDEN)),
  refused("a bare CR", trailer "X: a\rContent-Length: 35"),
  refused("a line without a colon", trailer "GET /smuggled HTTP/1.1"),
  refused("an empty name", trailer ": a"),
  refused("more of it than 8 KiB", trailer("X: " .. ("a"):rep(8300)), 431),
}

cases.old_versions = {
  refused("chunks", request("POST /echo HTTP/1.0", "Transfer-Encoding: chunked", CHUNKED_HIDDEN)),
  refused("chunks and a length",
    request("POST /echo HTTP/1.0", "Connection: keep-alive\r\nContent-Length: 5\r\nTransfer-Encoding: chunked", "0\r\n\r\n" .. HIDDEN)),
  refused("chunks and keep-alive", request("GET / HTTP/1.0", "Connection: keep-alive\r\nTransfer-Encoding: identity", HIDDEN)),
  refused("a length, and the connection ends", request("POST /echo HTTP/1.0", length(HIDDEN), HIDDEN), 200),
  refused("no length, so the body is empty and what follows is not read", request("POST /echo HTTP/1.0", "X-User: a", HIDDEN), 200),
  served("a length and keep-alive", request("POST /echo HTTP/1.0", "Connection: keep-alive\r\n" .. length(HIDDEN), HIDDEN), 200),
  refused("close and keep-alive, where close wins", request("GET / HTTP/1.0", "Connection: keep-alive, close", HIDDEN), 200),
  refused("close in HTTP/1.1, behind which nothing is read", get("Connection: close", HIDDEN), 200),
  refused("close in a second field", get("Connection: keep-alive\r\nConnection: x, CLOSE", HIDDEN), 200),
}

-- A front that takes the connection for a tunnel sends on whatever its client says next, none of which it has looked at.
local function ends(name, fields) return refused(name, get(fields, HIDDEN), 200) end
cases.tunnels = {
  ends("WebSocket", "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="),
  ends("WebSocket of a version that nobody has", "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 1337"),
  ends("WebSocket in capitals", "Connection: upgrade\r\nUpgrade: WebSocket"),
  ends("WebSocket that Connection does not name", "Upgrade: websocket"),
  ends("WebSocket beside keep-alive", "Connection: keep-alive, Upgrade\r\nUpgrade: websocket"),
  ends("TLS", "Connection: Upgrade\r\nUpgrade: TLS/1.2"),
  ends("WebSocket behind h2c", "Connection: Upgrade\r\nUpgrade: h2c, websocket"),
  ends("WebSocket in a second field", "Connection: Upgrade\r\nUpgrade: h2c\r\nUpgrade: websocket"),
  refused("WebSocket in HTTP/1.0", request("GET / HTTP/1.0", "Connection: keep-alive, Upgrade\r\nUpgrade: websocket", HIDDEN), 200),
  refused("a body behind WebSocket", get("Connection: Upgrade\r\nUpgrade: websocket\r\n" .. length(HIDDEN), HIDDEN .. HIDDEN), 200),
  refused("WebSocket where there is no route", request("GET /nothing HTTP/1.1", "Connection: Upgrade\r\nUpgrade: websocket", HIDDEN), 404),
  served("h2c alone, whose client waits to be told", get "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk", 200),
  served("an upgrade to nothing", get "Connection: Upgrade\r\nUpgrade:", 200),
  served("an upgrade that Connection alone speaks of", get "Connection: Upgrade", 200),
}

return cases

-- SPDX-License-Identifier: MIT
-- The first message of a TLS handshake (RFC 5246 7.4.1.2, RFC 8446 4.1.2) as bytes of one's own, and what a server says to it in the clear:
-- for what no client library would put into it.

local hello = {}

local ALERT, HANDSHAKE = 21, 22
local CLIENT_HELLO, SERVER_HELLO, SERVER_HELLO_DONE = 1, 2, 14
local RANDOM_BYTES, SESSION_ID_BYTES = 32, 32

local function u16(number) return string.char(math.floor(number / 256), number % 256) end
local function sized(bytes) return u16(#bytes) .. bytes end

--- An extension of that number.
function hello.extension(number, body) return u16(number) .. sized(body) end

--- What a server_name extension holds (RFC 6066 3): { { kind, name }, ... }, where a host's kind is 0.
function hello.server_names(list)
  local names = ""
  for _, one in ipairs(list) do names = names .. string.char(one[1]) .. sized(one[2]) end
  return sized(names)
end

-- supported_groups, signature_algorithms; and for TLS 1.3 supported_versions and a key_share of X25519.
local GROUPS = hello.extension(10, sized "\0\29\0\23")
local SIGNATURES = hello.extension(13, sized "\4\3\8\4")
local NEWEST = hello.extension(43, "\2\3\4") .. hello.extension(51, sized("\0\29" .. sized("\9" .. ("k"):rep(31))))
local SUITES = { tlsv1_2 = "\192\43\192\47", tlsv1_3 = "\19\1" }

---@class attack.Hello
---@field version "tlsv1_2"|"tlsv1_3"
---@field extensions? string more of them
---@field suites? string in place of one that every server has
---@field compressions? string the methods offered: "\0", which is none
---@field legacy? string the version before versions were an extension: "\3\3" in all that are not old

--- The record that holds it.
---@param given attack.Hello
function hello.record(given)
  local extensions = (given.extensions or "") .. GROUPS .. SIGNATURES .. (given.version == "tlsv1_3" and NEWEST or "")
  local compressions = given.compressions or "\0"
  local body = (given.legacy or "\3\3") .. ("r"):rep(RANDOM_BYTES) .. string.char(SESSION_ID_BYTES) .. ("s"):rep(SESSION_ID_BYTES)
    .. sized(given.suites or SUITES[given.version]) .. string.char(#compressions) .. compressions .. sized(extensions)
  local message = string.char(CLIENT_HELLO, 0) .. sized(body)
  return string.char(HANDSHAKE, 3, 1) .. sized(message)
end

-- Cuts whole pieces off: a record (head of 5, length in its last two) or a message (head of 4, length in its last three).
local function cut(bytes, head)
  if #bytes < head then return nil, bytes end
  local length = bytes:byte(head - 1) * 256 + bytes:byte(head)
  if #bytes < head + length then return nil, bytes end
  return bytes:sub(1, head + length), bytes:sub(head + length + 1)
end

---@class attack.HelloAnswer
---@field alert? integer its description (RFC 8446 6)
---@field hello? string the ServerHello
---@field flight string all that came in the clear

--- Sends it, and gives what the server says before it would have to hear more.
---@param connection http.Connection its own from then on
---@param given attack.Hello
---@return attack.HelloAnswer
function hello.ask(connection, given)
  local answer, records, messages = { flight = "" }, "", ""
  connection:send(hello.record(given))
  local last = given.version == "tlsv1_3" and SERVER_HELLO or SERVER_HELLO_DONE
  local done = false
  while not done do
    local bytes, why = connection:read()
    if why then break end
    local record
    records = records .. bytes
    record, records = cut(records, 5)
    while record and not done do
      if record:byte(1) == ALERT then answer.alert = record:byte(7) end
      if record:byte(1) == HANDSHAKE then messages = messages .. record:sub(6) end
      local message
      message, messages = cut(messages, 4)
      while message do
        answer.flight = answer.flight .. message
        if message:byte(1) == SERVER_HELLO then answer.hello = message end
        done = done or message:byte(1) == last
        message, messages = cut(messages, 4)
      end
      done = done or answer.alert ~= nil
      record, records = cut(records, 5)
    end
  end
  connection:close()
  return answer
end

return hello

-- SPDX-License-Identifier: MIT
-- Tokens as an attacker makes them: any header, any claims, any signature. Written
-- for the specs and sharing nothing with the core, so that neither hides the other's
-- mistake. FIPS 180-4 and RFC 2104 by the letter; slow, and good for tests alone.

local bit = require "bit"
local band, bnot, bxor, ror, rshift, tobit = bit.band, bit.bnot, bit.bxor, bit.ror, bit.rshift, bit.tobit

local jwt = {}

-- The key pair of RFC 7515 A.3, for ES256.
jwt.public_key = [[
-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEf83OJ3D2xF1Bg8vub9tLe1gHMzV7
6e8Tus9uPHvRVEXH8UTNG72bfocs3+257rn0s2ldbqkLJK2KRiMohYjlrQ==
-----END PUBLIC KEY-----
]]
jwt.private_key = [[
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgjpsQnnGQmL+YBIff
H1136cspYG6+0iY7X1fCE9+E9LKhRANCAAR/zc4ncPbEXUGDy+5v20t7WAczNXvp
7xO6z248e9FURcfxRM0bvZt+hyzf7bnuufSzaV1uqQskrYpGIyiFiOWt
-----END PRIVATE KEY-----
]]

-- --- base64url ---------------------------------------------------------------------------

jwt.alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

function jwt.encode(bytes)
  local out = {}
  for at = 1, #bytes, 3 do
    local a, b, c = bytes:byte(at, at + 2)
    local group = a * 65536 + (b or 0) * 256 + (c or 0)
    for place = 0, b and (c and 3 or 2) or 1 do
      local index = math.floor(group / 64 ^ (3 - place)) % 64
      out[#out + 1] = jwt.alphabet:sub(index + 1, index + 1)
    end
  end
  return table.concat(out)
end

function jwt.decode(text)
  local out, held, bits = {}, 0, 0
  for character in text:gmatch(".") do
    held, bits = held * 64 + assert(jwt.alphabet:find(character, 1, true)) - 1, bits + 6
    if bits >= 8 then
      bits = bits - 8
      out[#out + 1] = string.char(math.floor(held / 2 ^ bits))
      held = held % 2 ^ bits
    end
  end
  return table.concat(out)
end

-- --- HMAC with SHA-256 -------------------------------------------------------------------

-- The first 32 bits of the fractions of the roots of the first primes.
local function fraction(value) return tobit(math.floor(value % 1 * 2 ^ 32)) end

local K, START = {}, {}
do
  local number = 2
  while #K < 64 do
    local is_prime = true
    for divisor = 2, math.floor(math.sqrt(number)) do is_prime = is_prime and number % divisor ~= 0 end
    if is_prime then
      K[#K + 1] = fraction(number ^ (1 / 3))
      if #START < 8 then START[#START + 1] = fraction(math.sqrt(number)) end
    end
    number = number + 1
  end
end

local function word(text, at)
  local a, b, c, d = text:byte(at, at + 3)
  return tobit(a * 2 ^ 24 + b * 65536 + c * 256 + d)
end

local function add_block(state, text, from)
  local w = {}
  for t = 1, 16 do w[t] = word(text, from + (t - 1) * 4) end
  for t = 17, 64 do
    local x, y = w[t - 15], w[t - 2]
    local s0, s1 = bxor(ror(x, 7), ror(x, 18), rshift(x, 3)), bxor(ror(y, 17), ror(y, 19), rshift(y, 10))
    w[t] = tobit(w[t - 16] + s0 + w[t - 7] + s1)
  end
  local a, b, c, d, e, f, g, h = unpack(state)
  for t = 1, 64 do
    local one = tobit(h + bxor(ror(e, 6), ror(e, 11), ror(e, 25)) + bxor(band(e, f), band(bnot(e), g)) + K[t] + w[t])
    local two = tobit(bxor(ror(a, 2), ror(a, 13), ror(a, 22)) + bxor(band(a, b), band(a, c), band(b, c)))
    h, g, f, e, d, c, b, a = g, f, e, tobit(d + one), c, b, a, tobit(one + two)
  end
  for index, value in ipairs { a, b, c, d, e, f, g, h } do state[index] = tobit(state[index] + value) end
end

local function big_endian(value)
  local bytes = {}
  for index, shift in ipairs { 24, 16, 8, 0 } do bytes[index] = string.char(band(rshift(value, shift), 255)) end
  return table.concat(bytes)
end

function jwt.sha256(text)
  local state, out = { unpack(START) }, {}
  local padded = text .. "\128" .. ("\0"):rep((55 - #text) % 64) .. "\0\0\0\0" .. big_endian(#text * 8)
  for from = 1, #padded, 64 do add_block(state, padded, from) end
  for index = 1, 8 do out[index] = big_endian(state[index]) end
  return table.concat(out)
end

local function masked(key, mask) return (key:gsub(".", function(byte) return string.char(bxor(byte:byte(), mask)) end)) end

function jwt.hmac(key, text)
  if #key > 64 then key = jwt.sha256(key) end
  key = key .. ("\0"):rep(64 - #key)
  return jwt.sha256(masked(key, 0x5c) .. jwt.sha256(masked(key, 0x36) .. text))
end

--- A token of these texts, signed by HS256 whatever the header says.
---@param header string JSON
---@param claims string JSON
---@param secret string
---@return string
function jwt.sign(header, claims, secret)
  local signed = jwt.encode(header) .. "." .. jwt.encode(claims)
  return signed .. "." .. jwt.encode(jwt.hmac(secret, signed))
end

return jwt

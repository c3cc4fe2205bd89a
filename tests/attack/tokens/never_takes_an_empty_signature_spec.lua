-- SPDX-License-Identifier: MIT
-- CVE-2022-21449 and its kin: numbers for which an equation holds whatever was signed, and whoever signed it.

local tokens = require "tests.attack.support.tokens"

local ORDER = "\255\255\255\255\0\0\0\0\255\255\255\255\255\255\255\255\188\230\250\173\167\23\158\132\243\185\202\194\252\99\37\81" -- of P-256
local ZERO, ONE = ("\0"):rep(32), ("\0"):rep(31) .. "\1"

local SIGNATURES = {
  ES256 = {
    ["r = s = 0"] = ZERO .. ZERO, ["r = 0"] = ZERO .. ONE, ["s = 0"] = ONE .. ZERO, ["r = s = 1"] = ONE .. ONE, ["r = s = n"] = ORDER .. ORDER,
    ["r = n, s = 1"] = ORDER .. ONE, ["r = 1, s = n"] = ONE .. ORDER, ["all ones"] = ("\255"):rep(64), ["r = s = 0 in DER"] = "\48\6\2\1\0\2\1\0",
    ["r = s = 1 in DER"] = "\48\6\2\1\1\2\1\1", ["64 bytes of DER"] = "\48\62\2\29" .. ("\1"):rep(29) .. "\2\29" .. ("\1"):rep(29),
    ["96 bytes"] = ("\0"):rep(96), ["63 bytes"] = ("\0"):rep(63), ["one byte"] = "\0",
  },
  EdDSA = {
    ["zeros"] = ("\0"):rep(64), ["the neutral point and 0"] = "\1" .. ("\0"):rep(63),
    ["a point of order 2"] = "\236" .. ("\255"):rep(30) .. "\127" .. ZERO,
    ["s = the order"] = "\1" .. ("\0"):rep(31) .. "\237\211\245\92\26\99\18\88\214\156\247\162\222\249\222\20" .. ("\0"):rep(15) .. "\16",
    ["all ones"] = ("\255"):rep(64), ["63 bytes"] = ("\0"):rep(63), ["128 bytes"] = ("\0"):rep(128),
  },
  RS256 = {
    ["0"] = ("\0"):rep(256), ["1"] = ("\0"):rep(255) .. "\1", ["all ones"] = ("\255"):rep(256), ["255 bytes"] = ("\0"):rep(255),
    ["257 bytes"] = ("\0"):rep(257), ["padding in the clear"] = "\0\1" .. ("\255"):rep(202) .. "\0" .. ("\0"):rep(51),
  },
  HS256 = { ["zeros"] = ZERO, ["one byte"] = "\0", ["33 bytes"] = ("\0"):rep(33), ["64 bytes"] = ("\0"):rep(64) },
}

tokens.promise("never takes a signature that holds for anything:", function(world)
  for algorithm, signatures in pairs(SIGNATURES) do
    for name, signature in pairs(signatures) do
      it(("%s, %s"):format(algorithm, name), function()
        for _, claimed in ipairs { "HS256", "HS512", "RS256", "RS512", "PS256", "ES256", "ES384", "ES512", "EdDSA" } do
          world:refused(tokens.make(('{"alg":"%s"}'):format(claimed), tokens.claims(), function() return signature end), claimed)
        end
      end)
    end
  end
end)

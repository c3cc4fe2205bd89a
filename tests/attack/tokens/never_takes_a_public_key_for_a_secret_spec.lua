-- SPDX-License-Identifier: MIT
-- CVE-2015-9235 and its kin: a verifier that lets the token choose HMAC uses what everybody knows as the secret.

local keys = require "tests.attack.tokens.keys"
local mime = require "mime"
local server = require "spec.support.server"
local tokens = require "tests.attack.support.tokens"

local DIGESTS = { HS256 = "SHA256", HS384 = "SHA384", HS512 = "SHA512" }

tokens.promise("never takes a public key for a secret:", function(world)
  for algorithm, forms in pairs(keys.public) do
    for _, form in ipairs(forms) do
      it(("%s's as %s"):format(algorithm, form.name), function()
        local key = mime.unb64(form.bytes)
        for name, digest in pairs(DIGESTS) do
          for _, claimed in ipairs { name, algorithm } do
            local header = ('{"alg":"%s","typ":"JWT"}'):format(claimed)
            local token = tokens.make(header, tokens.claims(), function(signed) return tokens.hmac(key, signed, digest) end)
            world:refused(token, claimed, { algorithm, "any", "HS256" })
          end
        end
      end)
    end
  end

  it("and does not load with HMAC beside a public key, or a public key as the secret", function()
    for algorithm, pem in pairs(keys.private) do
      local app = ([[
        local demilune = require "demilune"
        local settings = demilune.settings { KEY = demilune.model.secret() }
        local app = demilune.app { guard = demilune.guard.bearer { %s, lifetime = "15m", audience = false } }
        app:get("/", function() return 1 end)
        return app]])
      for given, said in pairs {
        [('key = settings.KEY, algorithms = { "%s", "HS256" }'):format(algorithm)] = "with both, a token could take the public key for the secret",
        ['key = settings.KEY, algorithms = { "HS256" }'] = "is a key of two halves, of which one is public",
        ['secret = settings.KEY, algorithms = { "HS256" }'] = "the secret is a PEM text",
      } do
        local public = mime.unb64(keys.public[algorithm][1].bytes)
        for _, key in ipairs { public, pem } do
          local folder = server.write_app(app:format(given))
          local status, out, err = server.run({ "check", folder }, { env = { KEY = key } })
          server.remove_folder(folder)
          assert.equal(1, status, given .. "\n" .. out .. err)
          assert.truthy(err:find(said, 1, true), err)
        end
      end
    end
  end)
end)

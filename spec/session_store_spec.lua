-- SPDX-License-Identifier: MIT
-- Sessions in a table: how many rows one write of it may delete.

require("spec.support.core").install()
local session_store = require "demilune.session_store"

describe("a store of sessions", function()
  it("ends all of a subject in writes that are bounded, so that no deadline undoes them and nobody waits for all", function()
    local left, writes = 12000, {}
    local database = {}
    function database.statement(_, sql)
      local most = tonumber(sql:match "LIMIT (%d+)")
      return { run = function(_, params)
        local gone = math.min(left, most or left)
        left, writes[#writes + 1] = left - gone, params.subject .. " " .. gone
        return gone
      end }
    end
    session_store.new("spec", database, "sessions").finish_all "ada"
    assert.same({ "ada 5000", "ada 5000", "ada 2000" }, writes)
  end)
end)

-- SPDX-License-Identifier: MIT
-- Sessions in a table: how many rows one write of it may delete.

require("spec.support.core").install()
local rows = require "spec.support.rows"
local session_store = require "demilune.session_store"

describe("a store of sessions", function()
  it("ends all of a subject in writes that are bounded, so that no deadline undoes them and nobody waits for all", function()
    local database, writes = rows.deleting(12000)
    session_store.new("spec", database, "sessions").finish_all "ada"
    assert.same({ "ada 5000", "ada 5000", "ada 2000" }, writes)
  end)
end)

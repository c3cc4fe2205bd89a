-- SPDX-License-Identifier: MIT
local framing = require "tests.attack.support.framing"

framing.promise("takes a chunk, its extension and the last one in the one way they are written:", require("tests.attack.framing.cases").chunks)

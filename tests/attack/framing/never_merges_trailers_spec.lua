-- SPDX-License-Identifier: MIT
local framing = require "tests.attack.support.framing"

framing.promise("drops trailers, and never takes one for a field:", require("tests.attack.framing.cases").trailers)

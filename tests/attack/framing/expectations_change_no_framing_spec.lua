-- SPDX-License-Identifier: MIT
local framing = require "tests.attack.support.framing"

framing.promise("takes an expectation for no more than it is:", require("tests.attack.framing.cases").expectations)

-- SPDX-License-Identifier: MIT
local framing = require "tests.attack.support.framing"

framing.promise("reads a body to its end whoever answers, so that it is never the next request:", require("tests.attack.framing.cases").bodies)

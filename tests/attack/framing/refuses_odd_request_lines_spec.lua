-- SPDX-License-Identifier: MIT
local framing = require "tests.attack.support.framing"

framing.promise("takes a request line, a version and a host in the one way they are written:", require("tests.attack.framing.cases").request_lines)

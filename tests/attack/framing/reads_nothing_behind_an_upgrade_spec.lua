-- SPDX-License-Identifier: MIT
local framing = require "tests.attack.support.framing"

framing.promise("reads nothing behind a request that asks for another protocol:", require("tests.attack.framing.cases").tunnels)

-- SPDX-License-Identifier: MIT
local framing = require "tests.attack.support.framing"

framing.promise("takes chunked and no other transfer coding, however it is spelt:", require("tests.attack.framing.cases").codings)

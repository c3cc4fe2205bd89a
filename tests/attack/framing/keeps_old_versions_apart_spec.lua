-- SPDX-License-Identifier: MIT
local framing = require "tests.attack.support.framing"

framing.promise("does not mix the framing of HTTP/1.0 and 1.1, and reads nothing behind close:", require("tests.attack.framing.cases").old_versions)

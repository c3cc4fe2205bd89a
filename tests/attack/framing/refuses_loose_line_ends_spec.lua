-- SPDX-License-Identifier: MIT
local framing = require "tests.attack.support.framing"

framing.promise("refuses line ends that are not CRLF, folded lines and control characters:", require("tests.attack.framing.cases").line_ends)

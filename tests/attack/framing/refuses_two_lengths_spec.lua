-- SPDX-License-Identifier: MIT
local framing = require "tests.attack.support.framing"

framing.promise("takes one length, in digits, and none beside chunks:", require("tests.attack.framing.cases").two_lengths)

-- SPDX-License-Identifier: MIT
local framing = require "tests.attack.support.framing"

framing.promise("refuses names that another program would read as a framing field:", require("tests.attack.framing.cases").field_names)

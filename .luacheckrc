-- SPDX-License-Identifier: MIT
std = "luajit"
max_line_length = 150
cache = false
exclude_files = { "build", "**/node_modules" }

files["spec/**"] = { std = "+busted" }
files["tests/attack/**"] = { std = "+busted" }
files["apps/*/spec/**"] = { std = "+busted" }
files["tests/bench/peers/nginx/*.lua"] = { std = "+ngx_lua" }

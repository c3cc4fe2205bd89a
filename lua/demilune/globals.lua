-- SPDX-License-Identifier: MIT
-- Which globals a chunk reads, in whatever function of it and whether that runs or not: by its bytecode, so that what a compiler took for a
-- global is one here, and nothing else.

local bytecode = require "jit.util"
local files = require "demilune.files"

local globals = {}

local OPCODE_BITS, OPERAND_BITS = 8, 16

local function opcode_of(instruction) return bit.band(instruction, 2 ^ OPCODE_BITS - 1) end

-- The number of the instruction that reads a global differs between builds of LuaJIT: the one that names the global here.
local function find_opcode()
  local probe = loadstring "return probed"
  for at = 1, 4 do
    local instruction = bytecode.funcbc(probe, at)
    if not instruction then break end
    if bytecode.funck(probe, -bit.rshift(instruction, OPERAND_BITS) - 1) == "probed" then return opcode_of(instruction) end
  end
end

local READ = find_opcode()

local function each_read(prototype, visit)
  for at = 1, 2 ^ 26 do
    local instruction = bytecode.funcbc(prototype, at)
    if not instruction then break end
    if opcode_of(instruction) == READ then
      visit(bytecode.funck(prototype, -bit.rshift(instruction, OPERAND_BITS) - 1), bytecode.funcinfo(prototype, at).currentline)
    end
  end
  for index = -1, -2 ^ 16, -1 do
    local constant = bytecode.funck(prototype, index)
    if constant == nil then break end
    if type(constant) == "proto" then each_read(constant, visit) end
  end
end

---Calls visit(name, line) for each place of a file's chunk that reads a global.
---@param chunk function
---@param visit fun(name: string, line: integer)
function globals.each(chunk, visit) each_read(chunk, visit) end

---The names that a file declares local, as its text has them, for who mistyped one.
---@param path string in the app's folder
---@return string[]
function globals.locals_of(path)
  local names, text = {}, files.read(path) or ""
  for name in text:gmatch "%f[%w_]local%s+function%s+([%a_][%w_]*)" do names[#names + 1] = name end
  for list in text:gmatch "%f[%w_]local%s+([%a_][%w_,%s]*)" do
    for name in list:gmatch "[%a_][%w_]*" do names[#names + 1] = name end
  end
  for list in text:gmatch "%f[%w_]function%s*[%w_.:]*%s*%(([%w_,%s]*)%)" do
    for name in list:gmatch "[%a_][%w_]*" do names[#names + 1] = name end
  end
  return names
end

return globals

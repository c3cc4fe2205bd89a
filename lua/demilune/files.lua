-- SPDX-License-Identifier: MIT
-- Files of the app's folder. A server reads them all at one moment and loads every
-- worker from that, so that none runs what another does not; elsewhere they come
-- from the disk.

local context = require "demilune.context"
local core = require "demilune.core"

local files = {}

---@param path string inside the app's folder
---@return string? text nil when there is no such file
function files.read(path)
  local text, is_complete = core.app_file(path)
  if text or is_complete and path:find("%.lua$") then return text end
  local file = io.open(context.folder .. "/" .. path, "rb")
  if not file then return nil end
  text = file:read("*a")
  file:close()
  return text
end

local NO_ENTRY, NO_FOLDER = 2, 20
local LARGEST = 2 ^ 20 -- bytes: a larger one is left out of what a server reads

---Why a file that is there cannot be read.
---@param path string inside the app's folder
---@return string? why nil when there is none
function files.problem(path)
  local file, why, number = io.open(context.folder .. "/" .. path, "rb")
  if file then
    why, number = select(2, file:read(0)) -- a folder opens as a file does
    local is_larger = not why and file:seek "end" > LARGEST
    file:close()
    if is_larger then return "it is larger than 1 MiB" end
  end
  return why and number ~= NO_ENTRY and number ~= NO_FOLDER and why:match("([^:]+)$"):gsub("^%s+", "") or nil
end

return files

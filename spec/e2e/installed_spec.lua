-- SPDX-License-Identifier: MIT
-- The library as it is installed: the program of core/README.md, word by word but for its port, is built by the line below it and serves an app;
-- nothing of the library but its header's functions has a name in the program.

local files = require "spec.support.files"
local process = require "spec.support.process"
local server = require "spec.support.server"
local socket = require "socket"

local build = os.getenv "DEMILUNE_BUILD" or server.program:match("^(.*)/") or "."
local cache = files.read(build .. "/CMakeCache.txt") or ""

-- What the whole program has to be linked with, where the library was built so.
local SANITIZERS = { ON = " -fsanitize=address,undefined", thread = " -fsanitize=thread" }
local SPECIAL = (SANITIZERS[cache:match "DEMILUNE_SANITIZERS:%u+=(%a+)"] or "")
  .. (cache:find("DEMILUNE_COVERAGE:BOOL=ON", 1, true) and " -fprofile-instr-generate" or "")

local APP = [[
local demilune = require "demilune"
local app = demilune.app { guard = demilune.guard.public }
app:get("/", function() return "served" end)
return app
]]

-- A program's own functions, some of which the library has too.
local OTHER = [[
int llhttp_execute(int number);
int llhttp_execute(int number) { return number + 1; }
int dl_log_init(int number);
int dl_log_init(int number) { return llhttp_execute(number); }
]]

-- A part of a program that the program loads and unloads, and the program, which has Lua of its own.
local PART = [[
#include <demilune.h>
int serve(void);
int serve(void) {
  demilune_options options = {.folder = "notes"};
  demilune_server *server = demilune_server_new(&options, 0);
  if (!server) return 1;
  demilune_server_stop(server);
  int status = demilune_server_run(server);
  demilune_server_free(server);
  return status;
}
]]
local WHOLE = [[
#include <dlfcn.h>
#include <lauxlib.h>
#include <lualib.h>
int main(void) {
  lua_State *L = luaL_newstate();
  luaL_openlibs(L);
  for (int i = 0; i < 2; i++) {
    void *part = dlopen("./part.so", RTLD_NOW | RTLD_LOCAL);
    int (*serve)(void) = part ? (int (*)(void))dlsym(part, "serve") : 0;
    if (!serve || serve() != 0 || dlclose(part) != 0) return 1;
    if (luaL_dostring(L, "for i = 1, 100 do assert(#('a text that nobody had before'):rep(9, i) > 100) end")) return 2;
  }
  lua_close(L);
  return 0;
}
]]

describe("the installed library", function()
  local folder

  local function run(command)
    local status = os.execute(("( cd %s && %s ) >%s/output 2>&1"):format(folder, command, folder))
    assert.equal(0, status, files.read(folder .. "/output"))
    return files.read(folder .. "/output")
  end

  local function readme(block) return assert(files.read("core/README.md"):match("\n```" .. block .. "\n(.-)```")) end

  setup(function()
    folder = server.make_folder()
    local status = os.execute(("cmake --install %s --prefix %s/installed >%s/output 2>&1"):format(process.quote(build), folder, folder))
    assert.equal(0, status, files.read(folder .. "/output"))
    os.execute("mkdir " .. folder .. "/notes")
    files.write(folder .. "/notes/app.lua", APP)
    files.write(folder .. "/other.c", OTHER)
  end)

  teardown(function() server.remove_folder(folder) end)

  local compiler = cache:match("\nCMAKE_C_COMPILER:[^=]*=([^\n]+)") or "cc"
  local flags = "PKG_CONFIG_PATH=installed/lib/pkgconfig "
  local command = files.read("core/README.md"):match("\ncc service%.c [^\n]+")

  it("serves the app of the program that its README shows, built as it says, beside functions of the same names", function()
    local probe = assert(socket.bind("127.0.0.1", 0))
    local _, port = probe:getsockname()
    probe:close()
    files.write(folder .. "/service.c", (readme("c"):gsub("%.port = 8000", ".port = " .. port)))
    run("export " .. flags .. "&&" .. command:gsub("cc service%.c", compiler .. SPECIAL .. " other.c -o service service.c"))
    local running = process.start(folder, "env --chdir=" .. folder .. " ./service")
    local client = process.wait_until(20, function() return socket.connect("127.0.0.1", port) end)
    assert.truthy(client, running:log())
    client:send("GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
    assert.matches("\nserved$", client:receive("*a"))
    client:close()
    running:signal("TERM")
    assert.equal(0, running:await_end(), running:log())
  end)

  it("may be in what a program loads and unloads, which goes on with a LuaJIT of its own", function()
    files.write(folder .. "/part.c", PART)
    files.write(folder .. "/whole.c", WHOLE)
    run("export " .. flags .. "&&" .. compiler .. SPECIAL .. " -shared -fPIC -o part.so part.c $(pkg-config --cflags --libs demilune)")
    run(compiler .. SPECIAL .. " -o whole whole.c $(pkg-config --cflags --libs luajit) -ldl")
    run("./whole")
  end)

  it("has no names but those of its header", function()
    local header = files.read(folder .. "/installed/include/demilune.h")
    local names = run("nm -g --defined-only installed/lib/*.a")
    for name in names:gmatch("[^\n]- %u ([^\n]+)") do assert.truthy(header:find("[ *]" .. name .. "%("), name) end
    assert.truthy(names:find("demilune_server_new", 1, true))
  end)

  it("has a header that says nothing wrong to any compiler of C or C++", function()
    files.write(folder .. "/header.c", "#include <demilune.h>\n")
    for _, language in ipairs { "c -std=c99", "c -std=c11", "c -std=c17", "c++ -std=c++11", "c++ -std=c++17" } do
      local start = language:find("c++", 1, true) and "c++" or "cc"
      if start == "cc" or os.execute("command -v c++ >/dev/null") == 0 then
        run(("%s -x %s -Wall -Wextra -Wpedantic -Werror -fsyntax-only -Iinstalled/include header.c"):format(start, language))
      end
    end
  end)
end)

-- SPDX-License-Identifier: MIT
-- The files of apps/deploy: real nginx, Caddy and HAProxy in front show the same client, and the units and the container file hold what
-- their README says.

local cjson = require "cjson"
local files = require "spec.support.files"
local front = require "spec.support.front"
local http = require "spec.support.http"
local process = require "spec.support.process"
local server = require "spec.support.server"

local APP = [[
local demilune = require "demilune"
local app = demilune.app { title = "deployed", guard = demilune.guard.public }
app:get("/who", function(req) return { client = req.client, scheme = req.scheme, host = req.host } end)
app:get("/limited", { limit = "2/minute" }, function() return "fine" end)
app:get("/slow", { timeout = "100ms" }, function() demilune.sleep "1m" end)
app:post("/size", function(req) return tostring(#req.body) end)
app:get("/ticks", function()
  return demilune.stream(function(write)
    while true do
      write "tick\n"
      demilune.sleep "100ms"
    end
  end)
end)
return app
]]

local LIES = {
  Forwarded = "for=192.0.2.9;proto=https;host=evil.example", ["X-Forwarded-For"] = "192.0.2.9", ["X-Forwarded-Proto"] = "gopher",
  ["X-Forwarded-Host"] = "evil.example",
}

local function ask(address, port, target, headers)
  local connection = front.connect_from(address, port)
  local response = assert(connection:request("GET", target, { headers = headers, host = "api.example" }))
  connection:close()
  return response
end

local function stop(running)
  local status, log = running:stop()
  assert(status == 0, log)
end

local function make_certificate(folder)
  local status, text = front.run(("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=api.example"
    .. " -addext subjectAltName=DNS:api.example -keyout %s/key.pem -out %s/cert.pem"):format(folder, folder))
  assert(status == 0, text)
end

--- The client, whatever it says itself, and a limit that counts it.
local function sees_each_client(port, scheme)
  for _, address in ipairs { "127.0.0.5", "127.0.0.6" } do
    for _, headers in ipairs { {}, LIES } do
      assert.same({ client = address, scheme = scheme, host = "api.example" }, cjson.decode(ask(address, port, "/who", headers).body))
    end
  end
  local statuses = {}
  for index = 1, 3 do statuses[index] = ask("127.0.0.5", port, "/limited", LIES).status end
  statuses[4] = ask("127.0.0.6", port, "/limited").status
  assert.same({ 200, 200, 429, 200 }, statuses)
end

--- The last answer that curl shows of a request to that port: its status line, its fields in small letters, and its body.
local function fetch(scheme, port, target, flags)
  local command = "curl -sk -i --max-time 15 --resolve api.example:%d:127.0.0.1 %s %s://api.example:%d%s"
  local text = select(2, front.run(command:format(port, flags or "", scheme, port, target)))
  local head, body = text:gsub("\r", ""):gsub("^HTTP/%S+ 100.-\n\n", ""):match("^(HTTP.-\n)\n(.*)status %d+\n$")
  assert(head, text)
  return head:match("^(HTTP/%S+ %d+)"), head:lower(), body
end

local function field(head, name) return head:match("\n" .. name:gsub("%-", "%%-") .. ": ([^\n]*)") end

--- What is no handler's to say: bodies that are too large, streams, upgrades, deadlines, and a browser that is told to come by TLS alone.
local function passes_on(folder, scheme, port, version)
  files.write(folder .. "/large", ("x"):rep(1048577))
  files.write(folder .. "/fits", ("x"):rep(1048576))
  local line, head, body = fetch(scheme, port, "/size", "--data-binary @" .. folder .. "/fits")
  assert.same({ version .. " 200", "1048576" }, { line, body })
  assert.equal("max-age=31536000", field(head, "strict-transport-security"))
  line, head, body = fetch(scheme, port, "/size", "-H Expect: --data-binary @" .. folder .. "/large")
  assert.same({ version .. " 413", "application/json" }, { line, field(head, "content-type") })
  assert.matches("^%{\"detail\":\"[%a ]+\"%}$", body)
  line, head, body = fetch(scheme, port, "/slow")
  assert.same({ version .. " 504", "application/json", '{"detail":"The handler took too long"}' }, { line, field(head, "content-type"), body })
  -- Sent on as it is written: the first of it comes, in the time that curl has, and an end never does.
  assert.matches("^tick\n", (select(3, fetch(scheme, port, "/ticks", "--no-buffer --max-time 5"))))
  -- The app knows no other protocol than HTTP, and so nobody changes to one.
  line = fetch(scheme, port, "/who", "--http1.1 -H 'Connection: Upgrade' -H 'Upgrade: websocket' -H 'Sec-WebSocket-Version: 13' "
    .. "-H 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=='")
  assert.equal("HTTP/1.1 200", line)
end

local function says_that_nobody_is_there(scheme, port, version)
  local line, head, body = fetch(scheme, port, "/who")
  assert.same({ version .. " 502", "application/json" }, { line, field(head, "content-type") })
  assert.matches("^%{\"detail\":\"[%a ]+\"%}$", body)
end

describe("nginx.conf", function()
  local folder, running, port, tls_port, plain_port

  setup(function()
    folder, port, tls_port, plain_port = server.make_folder(), front.free_port(), front.free_port(), front.free_port()
    running = server.start(APP, { flags = { "--unix=" .. folder .. "/app.sock", "--trusted-proxies=unix" } })
    make_certificate(folder)
    local site = front.replace(files.read("apps/deploy/nginx.conf"), {
      ["/run/demilune/users.sock"] = folder .. "/app.sock",
      ["/etc/letsencrypt/live/api.example/fullchain.pem"] = folder .. "/cert.pem",
      ["/etc/letsencrypt/live/api.example/privkey.pem"] = folder .. "/key.pem",
      ["listen 80;"] = ("listen 127.0.0.1:%d;"):format(port),
      ["listen 443 ssl http2;"] = ("listen 127.0.0.1:%d ssl http2; listen 127.0.0.1:%d;"):format(tls_port, plain_port),
    })
    files.write(folder .. "/site.conf", site)
    files.write(folder .. "/nginx.conf", ([[
      daemon off; master_process off; pid FOLDER/nginx.pid; error_log stderr; worker_processes 1;
      events { worker_connections 256; }
      http {
        access_log off; client_body_temp_path FOLDER/1; proxy_temp_path FOLDER/2; fastcgi_temp_path FOLDER/3; uwsgi_temp_path FOLDER/4;
        scgi_temp_path FOLDER/5; include FOLDER/site.conf;
      }]]):gsub("FOLDER", folder))
  end)

  teardown(function()
    stop(running)
    server.remove_folder(folder)
  end)

  it("is a configuration that nginx takes", function()
    local status, text = front.run(("nginx -t -e stderr -p %s -c %s/nginx.conf"):format(folder, folder))
    assert(status == 0, text)
  end)

  it("shows each client to the app, and nothing that it says of itself", function()
    local nginx_folder = server.make_folder()
    local nginx = front.start(nginx_folder, ("nginx -e stderr -p %s -c %s/nginx.conf"):format(folder, folder), port, tls_port, plain_port)
    sees_each_client(plain_port, "http")
    local status, text = front.run(("curl -sk --interface 127.0.0.7 --resolve api.example:%d:127.0.0.1 -H 'X-Forwarded-Proto: http'"
      .. " https://api.example:%d/who"):format(tls_port, tls_port))
    assert(status == 0, text)
    assert.same({ client = "127.0.0.7", scheme = "https", host = "api.example" }, cjson.decode(text:match("^{.-}")))
    assert.equal("https://api.example/who?x=1", ask("127.0.0.5", port, "/who?x=1").headers.location)
    nginx:stop()
  end)

  it("passes on what is the app's to answer, speaks HTTP/2, and answers in its shape what it has to itself", function()
    local nginx_folder = server.make_folder()
    local nginx = front.start(nginx_folder, ("nginx -e stderr -p %s -c %s/nginx.conf"):format(folder, folder), port, tls_port, plain_port)
    passes_on(folder, "https", tls_port, "HTTP/2")
    nginx:stop()
    os.rename(folder .. "/app.sock", folder .. "/away")
    nginx = front.start(server.make_folder(), ("nginx -e stderr -p %s -c %s/nginx.conf"):format(folder, folder), port, tls_port, plain_port)
    says_that_nobody_is_there("https", tls_port, "HTTP/2")
    nginx:stop()
    os.rename(folder .. "/away", folder .. "/app.sock")
  end)
end)

-- Installing Caddy starts it on port 80, so that the launcher does so for continuous integration only.
local has_caddy = front.run("command -v caddy") == 0
local with_caddy = has_caddy and it or function(name) pending(name .. " (there is no caddy here)") end

describe("Caddyfile", function()
  local function environment(folder) return ("env HOME=%s XDG_DATA_HOME=%s XDG_CONFIG_HOME=%s"):format(folder, folder, folder) end

  with_caddy("is a configuration that Caddy takes", function()
    local folder = server.make_folder()
    local status, text = front.run(environment(folder) .. " caddy validate --config apps/deploy/Caddyfile --adapter caddyfile")
    assert(status == 0, text)
    server.remove_folder(folder)
  end)

  with_caddy("shows each client to the app, and nothing that it says of itself", function()
    local folder, port = server.make_folder(), front.free_port()
    local running = server.start(APP, { flags = { "--unix=" .. folder .. "/app.sock", "--trusted-proxies=unix" } })
    local file = front.replace(files.read("apps/deploy/Caddyfile"), {
      ["unix//run/demilune/users.sock"] = "unix/" .. folder .. "/app.sock",
      ["\napi.example {"] = ("\nhttp://api.example:%d {"):format(port),
      ["\tservers {"] = "\tadmin off\n\tauto_https off\n\tservers {",
    })
    files.write(folder .. "/Caddyfile", file)
    local caddy_folder = server.make_folder()
    local command = ("%s caddy run --config %s/Caddyfile --adapter caddyfile"):format(environment(caddy_folder), folder)
    local caddy = front.start(caddy_folder, command, port)
    sees_each_client(port, "http")
    passes_on(folder, "http", port, "HTTP/1.1")
    stop(running)
    says_that_nobody_is_there("http", port, "HTTP/1.1")
    caddy:stop()
    server.remove_folder(folder)
  end)
end)

describe("HAProxy in front, handing connections through", function()
  local function configure(folder, port, server_port, word)
    files.write(folder .. "/haproxy.cfg", ([[
global
  maxconn 100
defaults
  mode tcp
  timeout connect 5s
  timeout client 30s
  timeout server 30s
listen app
  bind 127.0.0.1:%d
  server app 127.0.0.1:%d %s
]]):format(port, server_port, word))
    return front.start(folder, ("haproxy -db -f %s/haproxy.cfg"):format(folder), port)
  end

  for _, word in ipairs { "send-proxy", "send-proxy-v2" } do
    it("announces each client before its TLS by " .. word, function()
      local folder, keys, port = server.make_folder(), server.make_folder(), front.free_port()
      make_certificate(keys)
      local running = server.start(APP, { flags = { "--trusted-proxies=127.0.0.1", "--proxy-protocol", "--tls-cert=" .. keys .. "/cert.pem",
        "--tls-key=" .. keys .. "/key.pem" } })
      local haproxy = configure(folder, port, running.port, word)
      for _, address in ipairs { "127.0.0.7", "127.0.0.8" } do
        local status, text = front.run(("curl -sk --interface %s -H 'X-Forwarded-For: 192.0.2.1' https://127.0.0.1:%d/who"):format(address, port))
        assert(status == 0, text)
        local seen = cjson.decode(text:match("^{.-}"))
        assert.same({ address, "https" }, { seen.client, seen.scheme })
      end
      haproxy:stop()
      stop(running)
      server.remove_folder(keys)
    end)
  end

  for _, word in ipairs { "send-proxy", "send-proxy-v2" } do
    it("shows each client to the app by " .. word, function()
      local folder, port = server.make_folder(), front.free_port()
      local running = server.start(APP, { flags = { "--trusted-proxies=127.0.0.1", "--proxy-protocol" } })
      local haproxy = configure(folder, port, running.port, word)
      sees_each_client(port, "http")
      haproxy:stop()
      stop(running)
    end)
  end
end)

describe("the systemd units", function()
  local folder
  local function program() return server.program:sub(1, 1) == "/" and server.program or os.getenv("PWD") .. "/" .. server.program end

  setup(function()
    folder = server.make_folder()
    local unit = front.replace(files.read("apps/deploy/demilune@.service"), { ["=/usr/local/bin/demilune"] = "=" .. program() })
    files.write(folder .. "/demilune@.service", unit)
    files.write(folder .. "/demilune@.socket", files.read("apps/deploy/demilune@.socket"))
    assert(os.execute("mkdir " .. folder .. "/demilune@users.service.d") == 0)
    files.write(folder .. "/demilune@users.service.d/log.conf", assert(files.read("apps/deploy/README.md"):match("\n```ini\n(.-)```")))
  end)
  teardown(function() server.remove_folder(folder) end)

  it("are units that systemd takes", function()
    local status, text = front.run(("cd %s && SYSTEMD_LOG_LEVEL=warning systemd-analyze verify --man=no --recursive-errors=no"
      .. " ./demilune@users.service ./demilune@users.socket"):format(folder))
    assert(status == 0, text)
    assert.is_nil(text:find("demilune@", 1, true), text)
  end)

  it("serve through the socket that systemd passes, as the service's command line says", function()
    local app, world = server.write_app(APP), server.make_folder()
    local path = world .. "/app.sock"
    local line = files.read("apps/deploy/demilune@.service"):match("\nExecStart=([^\n]+)")
    local command = front.replace(line, { ["/usr/local/bin/demilune"] = program(), ["/srv/demilune/%i"] = app })
    command = ("systemd-socket-activate -l %s %s --workers=2"):format(path, command)
    local activator = process.start(world, command)
    local connection = assert(server.wait_until(20, function()
      local connected, made = pcall(http.connect_unix, path)
      return connected and made
    end))
    local response = assert(connection:request("GET", "/who", { headers = { ["X-Forwarded-For"] = "192.0.2.1", ["X-Forwarded-Proto"] = "https" } }))
    assert.same({ client = "192.0.2.1", scheme = "https", host = "127.0.0.1" }, cjson.decode(response.body))
    connection:close()
    assert.equal(0, activator:stop(), activator:log())
    server.remove_folder(app)
    server.remove_folder(world)
  end)

  -- As systemd.service(5) has it: ${NAME} anywhere, $NAME as a word of its own.
  local function words_of(line, values)
    local words = {}
    for word in line:gmatch("%S+") do words[#words + 1] = values[word:match("^%$([%w_]+)$")] or word:gsub("%${([%w_]+)}", values) end
    return table.concat(words, " ")
  end

  it("reload the service, as its own line says", function()
    local app = server.write_app(APP)
    local running = server.start(app, { workers = 2 })
    local line = front.replace(assert(files.read("apps/deploy/demilune@.service"):match("\nExecReload=([^\n]+)")),
      { ["/usr/local/bin/demilune"] = program(), ["/srv/demilune/%i"] = app })
    local command = words_of(line, { MAINPID = tostring(running.pid) })
    local status, text = front.run(command)
    assert.equal(0, status, text)
    assert.truthy(text:find("generation 2 serves", 1, true), text)
    files.write(app .. "/app.lua", "this is wrong")
    status, text = front.run(command)
    assert.equal(1, status)
    assert.truthy(text:find("not reloaded: app.lua:1:", 1, true), text)
    stop(running)
    server.remove_folder(app)
  end)

  it("have journald take more lines than come: it takes a 0 as unsaid, and then leaves out what is above its own rate", function()
    local unit = files.read("apps/deploy/demilune@.service")
    assert.equal(1, tonumber(unit:match("\nLogRateLimitIntervalSec=(%d+)s\n")))
    assert.is_true(tonumber(unit:match("\nLogRateLimitBurst=(%d+)\n")) >= 1000000)
  end)

  it("leave the others up when the kernel kills a worker for its memory, which the master replaces: systemd would stop them all", function()
    assert.equal("continue", files.read("apps/deploy/demilune@.service"):match("\nOOMPolicy=(%w+)\n"))
  end)

  it("leave the service little to harm with", function()
    local status, text = front.run(("cp %s/demilune@.service %s/demilune@users.service && systemd-analyze security --no-pager --offline=true"
      .. " --threshold=15 %s/demilune@users.service"):format(folder, folder, folder))
    assert(status == 0, text)
  end)
end)

-- Debian has no linter for these files, so only what breaks a build or a promise is looked for.
describe("Dockerfile", function()
  local text = files.read("apps/deploy/Dockerfile")
  local KNOWN = { FROM = true, WORKDIR = true, COPY = true, RUN = true, ARG = true, ENV = true, USER = true, VOLUME = true, EXPOSE = true,
    STOPSIGNAL = true, ENTRYPOINT = true, CMD = true }

  local function instructions()
    local joined = text:gsub("#[^\n]*\n", "\n"):gsub("\\\n", " ")
    local list = {}
    for line in joined:gmatch("[^\n]+") do
      local name, rest = line:match("^(%u+)%s+(.*)$")
      assert(name and KNOWN[name], "what is this: " .. line)
      list[#list + 1] = { name = name, rest = rest }
    end
    return list
  end

  it("builds in one stage and runs in another, as nobody", function()
    local stages, user, entry = {}, nil, nil
    for _, step in ipairs(instructions()) do
      if step.name == "FROM" then stages[#stages + 1], user = step.rest:match("AS (%S+)$") or "last", nil end
      if step.name == "USER" then user = step.rest end
      if step.name == "ENTRYPOINT" then entry = cjson.decode(step.rest)[1] end
      local from = step.name == "COPY" and step.rest:match("%-%-from=(%S+)")
      if from then assert.equal("build", from) end
    end
    assert.same({ "build", "last" }, stages)
    assert.equal("10001:10001", user)
    assert.equal("/usr/local/bin/demilune", entry)
  end)

  -- An engine that knows of a list beside the Dockerfile takes the one at the root too; docker's builder of Debian 12 knows that alone.
  it("leaves out secrets and databases by a list that every engine reads", function()
    local list = "\n" .. assert(files.read(".dockerignore"))
    for _, name in ipairs { "**/.env", "**/*.db", "**/*.db-wal", "**/*.db-shm", ".git", "build" } do
      assert.truthy(list:find("\n" .. name .. "\n", 1, true), name)
    end
    assert.is_nil(files.read("apps/deploy/Dockerfile.dockerignore"))
  end)

  it("has shell lines that a shell can read", function()
    local read = 0
    for _, step in ipairs(instructions()) do
      if step.name == "RUN" then
        read = read + 1
        local folder = server.make_folder()
        files.write(folder .. "/run.sh", step.rest .. "\n")
        local status, problem = front.run("sh -n " .. folder .. "/run.sh")
        assert(status == 0, problem)
        server.remove_folder(folder)
      end
    end
    assert.is_true(read >= 3, read)
  end)

  it("finds the packages of the libraries that the program needs", function()
    local tried = 0
    for _, step in ipairs(instructions()) do
      if step.rest:find("ldd", 1, true) then
        tried = tried + 1
        local folder = server.make_folder()
        local command = front.replace(step.rest, { ["/demilune"] = "'" .. server.program .. "'", [">/packages"] = ">" .. folder .. "/packages" })
        assert.equal(0, (front.run(command)))
        local packages = files.read(folder .. "/packages")
        for _, name in ipairs { "libc6", "libuv1", "libluajit2-5.1-2", "libssl3", "libsqlite3-0", "libpcre2-8-0" } do
          assert.truthy(packages:find(name, 1, true), packages)
        end
        server.remove_folder(folder)
      end
    end
    assert.equal(1, tried)
  end)
end)

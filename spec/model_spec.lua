-- SPDX-License-Identifier: MIT
-- Models as descriptions: what the constructors make, and what they refuse.

local core = require("spec.support.core").install()
local field = require "demilune.field"
local model = require "demilune.model"

local function names(of)
  local list = {}
  for index, entry in ipairs(of.fields) do list[index] = entry.name end
  return table.concat(list, " ")
end

local function schema(of, name)
  for _, entry in ipairs(of.fields) do
    if entry.name == name then return entry.schema end
  end
end

-- The error of a load mistake, without its place.
local function refusal(fn)
  local ok, message = pcall(fn)
  assert.is_false(ok)
  assert.matches("^%S*model_spec%.lua:%d+: ", message)
  return (message:gsub("^%S+ ", "", 1))
end

describe("a model", function()
  it("keeps its fields in the order they were written", function()
    local made = model "Order" { zebra = model.string(), apple = model.integer(), mango = model.email(), kiwi = model.any(), banana = model.uuid() }
    assert.equal("zebra apple mango kiwi banana", names(made))
    assert.equal("model", made.kind)
    assert.equal("Order", made.name)
  end)

  it("puts models and fields made before behind those made in its braces", function()
    local Address = model "Address" { street = model.string() }
    local made = model "Person" { address = Address, name = model.string(), age = model.integer() }
    assert.equal("name age address", names(made))
    assert.equal(Address, schema(made, "address"))
  end)

  it("remembers the line that declared it", function()
    local line = debug.getinfo(1, "l").currentline + 1
    local made = model "Placed" { a = model.string() }
    assert.matches("model_spec%.lua:" .. line .. "$", made.source)
    assert.matches("model_spec%.lua:" .. line .. "$", schema(made, "a").source)
  end)

  it("takes options beside its name", function()
    local check = function() end
    local made = model("Loose", { extra = "allow", strict = false, check = check, description = "Anything" }) { a = model.string() }
    assert.equal("allow", made.extra)
    assert.is_false(made.strict)
    assert.equal(check, made.check)
    assert.equal("Anything", made.description)
  end)

  it("refuses what is no field, with what to write", function()
    assert.equal("model X: a must be a field, not a function; write model.string() with its parentheses",
      refusal(function() return model "X" { a = model.string } end))
    assert.equal("model X: a must be a field, not a table; write model.object { ... } for fields inside a field",
      refusal(function() return model "X" { a = { b = model.string() } } end))
    assert.equal('model X: a must be a field, not "string"; write model.string() or another kind',
      refusal(function() return model "X" { a = "string" } end))
    assert.equal("model X: every field needs a name; write { name = model.string() }", refusal(function() return model "X" { model.string() } end))
  end)

  it("refuses two fields with one name on the wire", function()
    assert.matches('have the same name on the wire, "b"',
      refusal(function() return model "X" { a = model.string { alias = "b" }, b = model.string() } end))
  end)

  it("refuses an extra that is no word of ours", function()
    assert.equal('model X: extra is "keep"; write "forbid", "ignore" or "allow"', refusal(function() return model("X", { extra = "keep" }) {} end))
  end)

  it("refuses a name that no programming language would take", function()
    assert.matches('needs a name of letters, digits and underscores, not "my model"', refusal(function() return model "my model" {} end))
  end)

  it("names the nearest constructor to one that is not there", function()
    assert.equal("there is no model.interger; did you mean model.integer?", refusal(function() return model.interger() end))
  end)
end)

describe("a field", function()
  it("carries its kind and its options as they were given", function()
    local made = model.string { min_length = 1, max_length = 9, pattern = "^a", strip = true, lower = true, alias = "wire", example = "abc" }
    assert.same({ "string", 1, 9, "^a", true, true, "wire", "abc" },
      { made.kind, made.min_length, made.max_length, made.pattern, made.strip, made.lower, made.alias, made.example })
  end)

  it("exists for every kind of the core", function()
    for _, kind in ipairs { "string", "integer", "int64", "number", "decimal", "boolean", "email", "url", "uuid", "date", "time", "datetime",
      "duration", "ipv4", "ipv6", "cidr", "bytes", "secret", "file", "any", "json" } do
      assert.equal(kind, model[kind]().kind)
    end
  end)

  it("refuses an unknown option and names the nearest", function()
    local message = refusal(function() return model.string { minlength = 3 } end)
    assert.matches('^model.string: there is no option "minlength"; did you mean min_length%? it takes alias, check, ', message)
  end)

  it("refuses an option of another kind", function()
    assert.matches('^model.integer: there is no option "min_length"; ', refusal(function() return model.integer { min_length = 1 } end))
  end)

  it("refuses an option of the wrong sort and shows one that would do", function()
    assert.equal('model.string: min_length must be a whole number of 0 or more, not "3"; write min_length = 10',
      refusal(function() return model.string { min_length = "3" } end))
    assert.equal("model.string: min_length must be a whole number of 0 or more, not -1; write min_length = 10",
      refusal(function() return model.string { min_length = -1 } end))
    assert.equal("model.integer: check must be a function, not true; write check = function(value) ... end",
      refusal(function() return model.integer { check = true } end))
  end)

  it("refuses a default that is not of its kind", function()
    assert.equal('model.integer: default must be a number, not "5"', refusal(function() return model.integer { default = "5" } end))
    assert.equal("model.boolean: default must be a boolean, not 1", refusal(function() return model.boolean { default = 1 } end))
    assert.is_false(model.boolean({ default = false }).default)
  end)

  it("refuses null as a default where null is not allowed", function()
    assert.matches("write nullable = true", refusal(function() return model.string { default = core.null } end))
    assert.equal(core.null, model.string({ default = core.null, nullable = true }).default)
  end)

  it("refuses a default and a factory together", function()
    assert.matches("both default and default_factory",
      refusal(function() return model.string { default = "a", default_factory = function() end } end))
  end)

  it("refuses a secret's default, which would be in the source", function()
    assert.matches("set it in the environment", refusal(function() return model.secret { default = "hunter2" } end))
  end)

  it("refuses to be read_only and write_only", function()
    assert.matches("nobody could use it", refusal(function() return model.string { read_only = true, write_only = true } end))
  end)

  it("refuses an alias that no client could send", function()
    assert.equal('model.string: alias is empty; write the name that clients send, such as alias = "userName"',
      refusal(function() return model.string { alias = "" } end))
  end)

  it("bounds durations as people write them", function()
    assert.equal(900, model.duration({ le = "15m" }).le)
    assert.equal(2.5, model.duration({ ge = 2.5 }).ge)
    assert.equal('model.duration: "soon" is not a duration; write lt = "15m"', refusal(function() return model.duration { lt = "soon" } end))
  end)
end)

describe("a composed field", function()
  it("is one of a literal's values", function()
    local made = model.literal { "user", "editor", 3, true, default = "user" }
    assert.same({ "user", "editor", 3, true }, made.values)
    assert.equal("user", made.default)
    assert.matches('write model.literal { "user", "editor" }', refusal(function() return model.literal {} end))
  end)

  it("is a list or a map of another field", function()
    local item = model.integer()
    local list, map = model.array(item, { max_items = 3, unique_items = true }), model.map(item, { min_items = 1 })
    assert.same({ "array", 3, true }, { list.kind, list.max_items, list.unique_items })
    assert.equal(item, list.items)
    assert.same({ "map", 1, "string" }, { map.kind, map.min_items, map.keys.kind })
    assert.equal(item, map.values)
    assert.matches("takes a field or a model first", refusal(function() return model.array("string") end))
    assert.equal('model.map: keys must be a field, not "string"; write keys = model.string { max_length = 10 }',
      refusal(function() return model.map(item, { keys = "string" }) end))
  end)

  it("is the first of a union's members that fits", function()
    local made = model.union { model.integer(), model.string() }
    assert.same({ "union", "integer", "string" }, { made.kind, made.members[1].kind, made.members[2].kind })
    assert.is_nil(made.discriminator)
    assert.matches("takes a list of fields or models", refusal(function() return model.union(model.string()) end))
  end)

  it("is the member of a tagged union that its literal names", function()
    local Cat = model "Cat" { type = model.literal { "cat" } }
    local Dog = model "Dog" { type = model.literal { "dog" } }
    local made = model.tagged("type", { Cat, Dog })
    assert.same({ "union", "type" }, { made.kind, made.discriminator })
    local Fish = model "Fish" { scales = model.integer() }
    assert.equal('model Fish needs a field type = model.literal { "..." } to be told from the others',
      refusal(function() return model.tagged("type", { Cat, Fish }) end))
  end)

  it("is optional or nullable without changing what it was made from", function()
    local name = model.string { max_length = 5 }
    local optional, nullable = model.optional(name), model.nullable(name, { default = core.null })
    assert.same({ "string", 5, true }, { optional.kind, optional.max_length, optional.optional })
    assert.same({ "string", true, core.null }, { nullable.kind, nullable.nullable, nullable.default })
    assert.is_nil(name.optional)
    assert.is_nil(name.nullable)
  end)

  it("refers to a model instead of copying it, so that it stays one model", function()
    local User = model "User" { id = model.integer() }
    local optional = model.optional(User, { description = "Who asked" })
    assert.same({ "ref", true, "Who asked" }, { optional.kind, optional.optional, optional.description })
    assert.equal(User, optional.get())
    assert.equal(User, model.ref(User, { alias = "owner" }).get())
  end)

  it("refers to a model that is not there yet", function()
    local Node
    Node = model "Node" { value = model.integer(), next = model.optional(model.ref(function() return Node end)) }
    local following = schema(Node, "next")
    assert.same({ "ref", true }, { following.kind, following.optional })
    assert.equal(Node, following.get())
    assert.matches("write model.ref%(function%(%) return Node end%)", refusal(function() return model.ref("Node") end))
  end)

  it("has fields inside it without a name", function()
    local made = model.object({ b = model.string(), a = model.string() }, { extra = "ignore" })
    assert.same({ "model", "ignore", "b a" }, { made.kind, made.extra, names(made) })
    assert.is_nil(made.name)
  end)
end)

describe("a model made from another", function()
  local CreateUser = model("CreateUser", { extra = "ignore", check = function() end, title = "New user" }) {
    email = model.email(),
    name = model.string { default = "nobody" },
    secret = model.string { write_only = true, alias = "pass-word" },
  }

  it("extends it: its fields first, then the new ones", function()
    local User = CreateUser:extend "User" { id = model.integer(), email = model.string() }
    assert.equal("email name secret id", names(User))
    assert.equal("string", schema(User, "email").kind)
    assert.same({ "ignore", CreateUser.check }, { User.extra, User.check })
    assert.is_nil(User.title)
    assert.equal("email", schema(CreateUser, "email").kind)
  end)

  it("is partial: nothing is needed and nothing is filled in", function()
    local Change = CreateUser:partial "ChangeUser"
    assert.equal("email name secret", names(Change))
    for _, entry in ipairs(Change.fields) do assert.is_true(entry.schema.optional) end
    assert.is_nil(schema(Change, "name").default)
    assert.equal("pass-word", schema(Change, "secret").alias)
    assert.is_nil(Change.check)
    assert.equal("nobody", schema(CreateUser, "name").default)
  end)

  it("is partial behind references too, which are followed no sooner than before", function()
    local Word, Around
    local Late = model "Late" { word = model.ref(function() return Word end), around = model.ref(function() return Around end) }
    local Change = Late:partial "ChangeLate"
    Word, Around = model.string { default = "late", max_length = 9 }, model.ref(function() return Around end)
    local word = schema(Change, "word").get()
    assert.same({ "string", 9 }, { word.kind, word.max_length })
    assert.is_nil(word.default)
    assert.equal("late", Word.default)
    assert.matches("leads back to itself", refusal(function() field.resolve(schema(Change, "around")) end))
  end)

  it("keeps the aliases of models inside a partial one", function()
    local Order = model "Order" { buyer = model.ref(CreateUser, { alias = "customer" }), first = CreateUser }
    local Change = Order:partial "ChangeOrder"
    assert.same({ "customer", true }, { schema(Change, "buyer").alias, schema(Change, "buyer").optional })
    assert.equal(CreateUser, schema(Change, "first").get())
    assert.is_nil(CreateUser.optional)
  end)

  it("is whole: what is called again is told how to have more", function()
    assert.equal('model Change has its fields already; write Change:extend "ChangeMore" { ... } for one with more',
      refusal(function() return CreateUser:partial "Change" {} end))
  end)

  it("picks or omits fields, in their order", function()
    assert.equal("email secret", names(CreateUser:pick "Login" { "secret", "email" }))
    assert.equal("email name", names(CreateUser:omit "Public" { "secret" }))
    assert.equal("model Public: model CreateUser has no field \"sekret\"; it has email, name, secret",
      refusal(function() return CreateUser:omit "Public" { "sekret" } end))
  end)
end)

describe("validate", function()
  local User = model "User" { id = model.integer() }

  it("takes a mode, and no word besides", function()
    assert.equal('validate: there is no option "strict"; it takes mode', refusal(function() User:validate({}, { strict = false }) end))
    assert.equal('validate: mode is "loose"; write "strict", "lax" or "text"', refusal(function() User:validate({}, { mode = "loose" }) end))
  end)

  it("is called with a colon", function()
    assert.equal("validate is called with a colon, so that it knows by which model; write User:validate(value)",
      refusal(function() User.validate {} end))
  end)
end)

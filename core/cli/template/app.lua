local demilune = require "demilune"
local model, guard = demilune.model, demilune.guard

local app = demilune.app { title = "APP_NAME", version = "0.1.0" }

-- What comes in: a field that is not here is refused.
local NewNote = model "NewNote" {
  text = model.string { min_length = 1, max_length = 1000, example = "Buy bread" },
}

-- What goes out: a field that is not here does not leave.
local Note = NewNote:extend "Note" { id = model.integer() }

local db = app:database "sqlite:APP_NAME.db"
local add_note = db:statement [[INSERT INTO notes (text) VALUES (:text) RETURNING id, text]]
local find_note = db:statement [[SELECT id, text FROM notes WHERE id = :id]]
local list_notes = db:statement [[SELECT id, text FROM notes ORDER BY id DESC LIMIT :limit]]

app:get("/notes", {
  guard = guard.public,
  query = { limit = model.integer { ge = 1, le = 100, default = 20 } },
  returns = model.array(Note),
}, function(req) return list_notes:many { limit = req.query.limit } end)

app:post("/notes", { guard = guard.public, body = NewNote, returns = Note, status = 201 },
  function(req) return add_note:one { text = req.body.text } end)

app:get("/notes/{id}", { guard = guard.public, path = { id = model.integer { ge = 1 } }, returns = Note },
  function(req) return find_note:one { id = req.path.id } or demilune.abort(404, "There is no such note") end)

return app

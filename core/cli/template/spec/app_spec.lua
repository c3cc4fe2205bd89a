local client = require("demilune.test").client()

describe("APP_NAME", function()
  it("keeps a note and gives it back", function()
    local created = client:post("/notes", { json = { text = "Buy bread" } })
    assert.equal(201, created.status)
    local found = client:get("/notes/" .. created.json().id)
    assert.equal("Buy bread", found.json().text)
  end)

  it("refuses a note without text", function()
    local refused = client:post("/notes", { json = { text = "" } })
    assert.equal(422, refused.status)
    assert.same({ "body", "text" }, refused.json().detail[1].loc)
  end)

  it("lets in whom it says, and nobody else", function()
    client:matrix {
      principals = { nobody = {} }, -- and, once there are guards: ada = { headers = { Authorization = "Bearer ..." }, roles = { "user" } }
      public = { "GET /notes", "POST /notes", "GET /notes/{id}" },
    }
  end)

  it("answers 404 for a note that is not there", function()
    assert.equal(404, client:get("/notes/999999").status)
  end)
end)

CREATE TABLE users (
  id    INTEGER PRIMARY KEY AUTOINCREMENT, -- the number of a deleted user is not given again
  email TEXT NOT NULL UNIQUE COLLATE NOCASE,
  name  TEXT NOT NULL,
  role  TEXT NOT NULL CHECK (role IN ('user', 'editor')),
  age   INTEGER NOT NULL CHECK (age BETWEEN 0 AND 150)
) STRICT;

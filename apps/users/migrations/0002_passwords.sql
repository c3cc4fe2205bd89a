ALTER TABLE users ADD COLUMN password TEXT; -- an Argon2id string; users without one cannot log in

-- SPDX-License-Identifier: MIT
-- A row that cannot be deleted, as one of very many in a statement that runs into its deadline.
CREATE TRIGGER kept BEFORE DELETE ON refresh_tokens WHEN OLD.digest = 'kept' BEGIN SELECT RAISE(ABORT, 'kept'); END;

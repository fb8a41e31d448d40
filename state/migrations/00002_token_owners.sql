-- A token ends with the account that it belongs to and with the token that it was made with.

-- +goose Up
ALTER TABLE tokens ADD COLUMN owner TEXT REFERENCES users (name) ON DELETE CASCADE; -- null: the operator of this machine
ALTER TABLE tokens ADD COLUMN parent TEXT REFERENCES tokens (id) ON UPDATE CASCADE ON DELETE CASCADE; -- null: made in a session
ALTER TABLE tokens ADD COLUMN expires BIGINT NOT NULL DEFAULT 0; -- 0: never

CREATE INDEX tokens_owner ON tokens (owner);
CREATE INDEX tokens_parent ON tokens (parent);

-- +goose Down
DROP INDEX tokens_parent;
DROP INDEX tokens_owner;
ALTER TABLE tokens DROP COLUMN expires;
ALTER TABLE tokens DROP COLUMN parent;
ALTER TABLE tokens DROP COLUMN owner;

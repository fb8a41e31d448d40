-- What people decide about the gateway. Bodies are JSON: their form is that of the packages that read them.

-- +goose Up
CREATE TABLE gateway_rules (
    kind     TEXT   NOT NULL CHECK (kind IN ('policy', 'exception')),
    id       TEXT   NOT NULL,
    position BIGINT NOT NULL,
    body     TEXT   NOT NULL,
    PRIMARY KEY (kind, id)
);

CREATE TABLE gateway_authorities (
    name         TEXT   NOT NULL PRIMARY KEY,
    certificates TEXT   NOT NULL, -- PEM
    sealed_key   TEXT   NOT NULL, -- PEM, encrypted
    created      BIGINT NOT NULL
);

ALTER TABLE audit ADD COLUMN summary TEXT NOT NULL DEFAULT ''; -- how what was changed is now

-- +goose Down
ALTER TABLE audit DROP COLUMN summary;
DROP TABLE gateway_authorities;
DROP TABLE gateway_rules;

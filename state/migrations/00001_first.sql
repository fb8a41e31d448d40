-- Times are microseconds since 1970. Only types and syntax that SQLite and PostgreSQL share.

-- +goose Up
CREATE TABLE users (
    name     TEXT   NOT NULL PRIMARY KEY,
    role     TEXT   NOT NULL CHECK (role IN ('admin', 'analyst', 'viewer')),
    password TEXT   NOT NULL, -- argon2id, PHC string
    created  BIGINT NOT NULL
);

CREATE TABLE sessions (
    hash      TEXT   NOT NULL PRIMARY KEY, -- SHA-256 of the cookie, hexadecimal
    user_name TEXT   NOT NULL REFERENCES users (name) ON DELETE CASCADE,
    created   BIGINT NOT NULL,
    last_seen BIGINT NOT NULL
);

CREATE INDEX sessions_user ON sessions (user_name);

CREATE TABLE tokens (
    id        TEXT   NOT NULL PRIMARY KEY, -- the part of the token that may be shown
    hash      TEXT   NOT NULL,             -- SHA-256 of the whole token, hexadecimal
    name      TEXT   NOT NULL UNIQUE,
    role      TEXT   NOT NULL CHECK (role IN ('admin', 'analyst', 'viewer')),
    created   BIGINT NOT NULL,
    last_used BIGINT NOT NULL DEFAULT 0
);

CREATE TABLE imports (
    id          TEXT   NOT NULL PRIMARY KEY,
    name        TEXT   NOT NULL,
    state       TEXT   NOT NULL CHECK (state IN ('queued', 'running', 'done', 'failed', 'cancelled')),
    actor       TEXT   NOT NULL,
    bytes_done  BIGINT NOT NULL DEFAULT 0,
    bytes_total BIGINT NOT NULL DEFAULT 0,
    packets     BIGINT NOT NULL DEFAULT 0,
    events      BIGINT NOT NULL DEFAULT 0,
    connections BIGINT NOT NULL DEFAULT 0,
    decrypted   BIGINT NOT NULL DEFAULT 0,
    error       TEXT   NOT NULL DEFAULT '',
    started     BIGINT NOT NULL,
    finished    BIGINT NOT NULL DEFAULT 0
);

CREATE INDEX imports_started ON imports (started);

CREATE TABLE audit (
    id      TEXT   NOT NULL PRIMARY KEY,
    at      BIGINT NOT NULL,
    actor   TEXT   NOT NULL,
    address TEXT   NOT NULL,
    action  TEXT   NOT NULL,
    target  TEXT   NOT NULL,
    outcome TEXT   NOT NULL CHECK (outcome IN ('ok', 'denied', 'failed'))
);

CREATE INDEX audit_at ON audit (at);

CREATE TABLE settings (
    name  TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
);

-- +goose Down
DROP TABLE settings;
DROP TABLE audit;
DROP TABLE imports;
DROP TABLE tokens;
DROP TABLE sessions;
DROP TABLE users;

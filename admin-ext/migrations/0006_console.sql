-- Who administers with which role, and who is signed in at the console.

-- What the token's bearer may do; those made before there were roles may do everything.
ALTER TABLE tokens ADD COLUMN role TEXT NOT NULL DEFAULT 'admin';

CREATE TABLE sessions (
    id BLOB NOT NULL PRIMARY KEY,
    -- Of the secret in the browser's cookie, which is kept nowhere else.
    digest BLOB NOT NULL,
    -- What the audit log calls who is signed in.
    subject TEXT NOT NULL,
    -- The token that opened the session and gives it its role, whatever that is by then.
    token BLOB REFERENCES tokens (id) ON DELETE CASCADE,
    -- The role of a session that no token opened, and who that is at the identity provider.
    role TEXT,
    identity TEXT,
    created_at BIGINT NOT NULL,
    -- Of the last request, to about a minute.
    seen_at BIGINT NOT NULL,
    -- However much it is used until then.
    expires_at BIGINT NOT NULL,
    CHECK ((token IS NULL) <> (role IS NULL))
);
CREATE UNIQUE INDEX sessions_digest ON sessions (digest);
CREATE INDEX sessions_token ON sessions (token);
CREATE INDEX sessions_subject ON sessions (subject, created_at, id);
CREATE INDEX sessions_seen ON sessions (seen_at);
CREATE INDEX sessions_expires ON sessions (expires_at);

-- Sign-ins at an identity provider that opened a session: none does so twice.
CREATE TABLE sign_ins (
    digest BLOB NOT NULL PRIMARY KEY,
    -- From then on it is refused for its age.
    ends_at BIGINT NOT NULL
);
CREATE INDEX sign_ins_ends ON sign_ins (ends_at);

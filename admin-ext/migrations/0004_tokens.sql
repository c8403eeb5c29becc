-- Kong's OAuth 2.0: how services give out access tokens, and the tokens they gave out; and when issuers' keys are fetched.

-- How callers get and use access tokens, as JSON; absent: with none. From now on `key_auth` may be the JSON text `null`.
ALTER TABLE services ADD COLUMN oauth2 TEXT;
-- The provision key, encrypted.
ALTER TABLE services ADD COLUMN provision_key BLOB;

-- Access tokens and what they may be exchanged for. Only digests of them are kept.
CREATE TABLE oauth2_tokens (
    id BLOB NOT NULL PRIMARY KEY,
    credential BLOB NOT NULL REFERENCES credentials (id) ON DELETE CASCADE,
    -- Absent: for every service with `global_credentials`.
    service BLOB REFERENCES services (id) ON DELETE CASCADE,
    -- Where the record of the access token is kept; absent once it has expired and only the refresh token is left.
    access_digest BLOB,
    -- Absent: it cannot be refreshed.
    refresh_digest BLOB,
    -- What was granted: the most that a refreshed token may have.
    scope TEXT,
    authenticated_userid TEXT,
    created_at BIGINT NOT NULL,
    -- When the access token ends, and when nothing is left; absent: never.
    access_ends_at BIGINT,
    ends_at BIGINT
);
CREATE UNIQUE INDEX oauth2_tokens_access ON oauth2_tokens (access_digest);
CREATE UNIQUE INDEX oauth2_tokens_refresh ON oauth2_tokens (refresh_digest);
CREATE INDEX oauth2_tokens_created ON oauth2_tokens (credential, created_at, id);
CREATE INDEX oauth2_tokens_service ON oauth2_tokens (service);
CREATE INDEX oauth2_tokens_expired ON oauth2_tokens (access_ends_at) WHERE access_digest IS NOT NULL;
CREATE INDEX oauth2_tokens_ended ON oauth2_tokens (ends_at);

-- Fetches of an issuer's keys are counted: how many have begun, which was the last that ended, and which one a gateway
-- waits for (at most the next). No clock is asked which of them came first.
ALTER TABLE issuers ADD COLUMN begun BIGINT NOT NULL DEFAULT 0;
ALTER TABLE issuers ADD COLUMN ended BIGINT NOT NULL DEFAULT 0;
ALTER TABLE issuers ADD COLUMN wanted BIGINT NOT NULL DEFAULT 0;
ALTER TABLE issuers ADD COLUMN began_at BIGINT;
ALTER TABLE issuers ADD COLUMN ended_at BIGINT;

-- By which rules the records were derived; what an earlier version derived is derived again at the next start.
ALTER TABLE head ADD COLUMN derivation BIGINT NOT NULL DEFAULT 0;

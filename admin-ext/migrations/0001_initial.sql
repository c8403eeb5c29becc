-- One schema for both databases. PostgreSQL's name for BLOB is put in its place when the migration is read.
-- Ids are the sixteen bytes of a UUID, times are milliseconds since the Unix epoch, truth values are 0 and 1.

-- What every write locks first: it makes writers queue, so that revisions are assigned in the order of commits.
CREATE TABLE head (
    id BIGINT NOT NULL PRIMARY KEY CHECK (id = 1),
    store BLOB NOT NULL,
    -- Opens only with the key file the database was made with.
    sealed_check BLOB NOT NULL,
    -- Newest revision of the feed.
    revision BIGINT NOT NULL,
    -- Oldest revision from which the feed can still be followed.
    oldest BIGINT NOT NULL,
    -- Number of records that are no tombstones.
    records BIGINT NOT NULL,
    -- Newest entry of the audit log.
    audit BIGINT NOT NULL
);

CREATE TABLE developers (
    id BLOB NOT NULL PRIMARY KEY,
    email TEXT NOT NULL,
    status BIGINT NOT NULL,
    meta TEXT,
    custom_id TEXT,
    consumer BLOB NOT NULL,
    password_hash TEXT,
    roles TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE UNIQUE INDEX developers_email ON developers (email);
CREATE UNIQUE INDEX developers_custom_id ON developers (custom_id);
CREATE INDEX developers_created ON developers (created_at, id);
CREATE INDEX developers_status ON developers (status, created_at, id);

CREATE TABLE applications (
    id BLOB NOT NULL PRIMARY KEY,
    developer BLOB NOT NULL REFERENCES developers (id) ON DELETE CASCADE,
    consumer BLOB NOT NULL,
    name TEXT NOT NULL,
    redirect_uri TEXT NOT NULL,
    description TEXT,
    meta TEXT,
    custom_id TEXT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE UNIQUE INDEX applications_name ON applications (developer, name);
CREATE UNIQUE INDEX applications_custom_id ON applications (custom_id);
CREATE INDEX applications_created ON applications (developer, created_at, id);

CREATE TABLE services (
    id BLOB NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    auto_approve BIGINT NOT NULL,
    key_auth TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE UNIQUE INDEX services_name ON services (name);
CREATE INDEX services_created ON services (created_at, id);

CREATE TABLE connections (
    id BLOB NOT NULL PRIMARY KEY,
    application BLOB NOT NULL REFERENCES applications (id) ON DELETE CASCADE,
    service BLOB NOT NULL REFERENCES services (id) ON DELETE CASCADE,
    status BIGINT NOT NULL,
    suspended BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE UNIQUE INDEX connections_composite ON connections (application, service);
CREATE INDEX connections_created ON connections (application, created_at, id);
CREATE INDEX connections_service ON connections (service, created_at, id);

CREATE TABLE credentials (
    id BLOB NOT NULL PRIMARY KEY,
    application BLOB NOT NULL REFERENCES applications (id) ON DELETE CASCADE,
    kind TEXT NOT NULL,
    -- Of the key or client id, whatever the kind: both are API keys.
    digest BLOB NOT NULL,
    last_four TEXT NOT NULL,
    -- The readable secrets, encrypted; absent where they are shown once only.
    sealed BLOB,
    -- What is no secret, as JSON; absent where the kind has nothing of it.
    settings TEXT,
    tags TEXT NOT NULL,
    expires_at BIGINT,
    created_at BIGINT NOT NULL
);
CREATE UNIQUE INDEX credentials_digest ON credentials (digest);
CREATE INDEX credentials_created ON credentials (application, kind, created_at, id);

-- What the gateways are told, each record at the revision of its last change. A record without a body is a
-- tombstone: it tells that the key is gone.
CREATE TABLE records (
    digest BLOB NOT NULL PRIMARY KEY,
    revision BIGINT NOT NULL,
    kind TEXT NOT NULL,
    -- The application or service the record is derived from.
    owner BLOB NOT NULL,
    body TEXT,
    deleted_at BIGINT
);
CREATE UNIQUE INDEX records_revision ON records (revision);
CREATE INDEX records_owner ON records (owner);
CREATE INDEX records_deleted ON records (deleted_at) WHERE deleted_at IS NOT NULL;

CREATE TABLE audit (
    seq BIGINT NOT NULL PRIMARY KEY,
    at BIGINT NOT NULL,
    actor TEXT NOT NULL,
    request TEXT NOT NULL,
    action TEXT NOT NULL,
    entity TEXT NOT NULL,
    entity_id TEXT NOT NULL,
    before_change TEXT,
    after_change TEXT
);
CREATE INDEX audit_entity ON audit (entity_id, seq);

CREATE TABLE tokens (
    id BLOB NOT NULL PRIMARY KEY,
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    digest BLOB NOT NULL,
    created_at BIGINT NOT NULL,
    last_used_at BIGINT,
    revoked_at BIGINT
);
CREATE UNIQUE INDEX tokens_digest ON tokens (digest);

CREATE TABLE nodes (
    node TEXT NOT NULL PRIMARY KEY,
    version TEXT NOT NULL,
    applied BIGINT NOT NULL,
    seen_at BIGINT NOT NULL
);

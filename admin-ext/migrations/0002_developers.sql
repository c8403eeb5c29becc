-- Roles, developers' own credentials and plugins, settings of the portal, and what is still to be told to others.

CREATE TABLE roles (
    id BLOB NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    comment TEXT,
    created_at BIGINT NOT NULL
);
CREATE UNIQUE INDEX roles_name ON roles (name);
CREATE INDEX roles_created ON roles (created_at, id);

CREATE TABLE developer_roles (
    developer BLOB NOT NULL REFERENCES developers (id) ON DELETE CASCADE,
    role BLOB NOT NULL REFERENCES roles (id) ON DELETE CASCADE,
    PRIMARY KEY (developer, role)
);
CREATE INDEX developer_roles_role ON developer_roles (role, developer);
-- No interface could ever set these.
ALTER TABLE developers DROP COLUMN roles;

-- When the developer was approved for the first time; absent: never.
ALTER TABLE developers ADD COLUMN approved_at BIGINT;
UPDATE developers SET approved_at = updated_at WHERE status = 0;

CREATE TABLE developer_credentials (
    id BLOB NOT NULL PRIMARY KEY,
    developer BLOB NOT NULL REFERENCES developers (id) ON DELETE CASCADE,
    kind TEXT NOT NULL,
    -- Of what identifies the credential at a gateway: its key, client id or user name.
    digest BLOB NOT NULL,
    last_four TEXT NOT NULL,
    -- The readable secrets, encrypted; absent where they are shown once only.
    sealed BLOB,
    -- What is no secret, as JSON.
    settings TEXT NOT NULL,
    tags TEXT NOT NULL,
    expires_at BIGINT,
    created_at BIGINT NOT NULL
);
CREATE UNIQUE INDEX developer_credentials_digest ON developer_credentials (kind, digest);
CREATE INDEX developer_credentials_created ON developer_credentials (developer, kind, created_at, id);

CREATE TABLE developer_plugins (
    id BLOB NOT NULL PRIMARY KEY,
    developer BLOB NOT NULL REFERENCES developers (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    instance_name TEXT,
    enabled BIGINT NOT NULL,
    -- JSON texts. Protocols are absent where the plugin's own default holds.
    protocols TEXT,
    given TEXT NOT NULL,
    -- Something in `given` came as the text of a form, and nobody has said yet what it stands for.
    textual BIGINT NOT NULL,
    -- As Kong answered it, defaults included; absent: Kong has not been asked.
    answered TEXT,
    tags TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE UNIQUE INDEX developer_plugins_name ON developer_plugins (developer, name);
CREATE UNIQUE INDEX developer_plugins_instance_name ON developer_plugins (instance_name);
CREATE INDEX developer_plugins_created ON developer_plugins (developer, created_at, id);

-- What an operator set at run time, by name, as JSON.
CREATE TABLE settings (
    name TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
);

-- What a Kong has still to be told: that an entity is to be there as it is here, or is to be gone.
CREATE TABLE kong_sync (
    target TEXT NOT NULL,
    id BLOB NOT NULL,
    -- The consumer it is about or belongs to: what is told of one consumer is told by one at a time.
    consumer BLOB NOT NULL,
    -- Grows with every change of the entity, so that news during a call are not lost.
    version BIGINT NOT NULL,
    attempts BIGINT NOT NULL,
    next_at BIGINT NOT NULL,
    -- Until then somebody is telling Kong.
    claimed_until BIGINT NOT NULL,
    -- Kong understood and refused; nothing but another change will help.
    refused BIGINT NOT NULL,
    error TEXT,
    -- Since when Kong is behind.
    created_at BIGINT NOT NULL,
    PRIMARY KEY (target, id)
);
CREATE INDEX kong_sync_due ON kong_sync (refused, next_at);
CREATE INDEX kong_sync_consumer ON kong_sync (consumer);
CREATE INDEX kong_sync_created ON kong_sync (created_at, id);
CREATE INDEX developers_consumer ON developers (consumer);
CREATE INDEX applications_consumer ON applications (consumer);

-- Which Kong was told of everything there is.
CREATE TABLE kong_followed (
    id BIGINT NOT NULL PRIMARY KEY CHECK (id = 1),
    url TEXT NOT NULL
);

-- Mails that are still to be sent.
CREATE TABLE mails (
    id BLOB NOT NULL PRIMARY KEY,
    recipient TEXT NOT NULL,
    template TEXT NOT NULL,
    -- What the template says, as JSON.
    context TEXT NOT NULL,
    attempts BIGINT NOT NULL,
    next_at BIGINT NOT NULL,
    error TEXT,
    created_at BIGINT NOT NULL
);
CREATE INDEX mails_due ON mails (next_at);

-- The audit log is read newest first, whole or by one of these.
DROP INDEX audit_entity;
CREATE INDEX audit_at ON audit (at, seq);
CREATE INDEX audit_actor ON audit (actor, at, seq);
CREATE INDEX audit_request ON audit (request, at, seq);
CREATE INDEX audit_action ON audit (action, at, seq);
CREATE INDEX audit_entity ON audit (entity, at, seq);
CREATE INDEX audit_entity_id ON audit (entity_id, at, seq);

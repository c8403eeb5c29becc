-- Auth strategies, DCR providers, portals, API products and their versions; connections to versions of products.

CREATE TABLE dcr_providers (
    id BLOB NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    display_name TEXT,
    provider_type TEXT NOT NULL,
    issuer TEXT NOT NULL,
    -- What of the configuration is no secret, as JSON.
    config TEXT NOT NULL,
    -- The secrets of the configuration, encrypted.
    sealed BLOB NOT NULL,
    labels TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE INDEX dcr_providers_created ON dcr_providers (created_at, id);

CREATE TABLE auth_strategies (
    id BLOB NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    display_name TEXT NOT NULL,
    strategy_type TEXT NOT NULL,
    -- What stands under `key-auth` or `openid-connect`, as JSON; what of it is secret is encrypted.
    config TEXT NOT NULL,
    sealed BLOB,
    -- Of an openid_connect strategy; see `issuers`.
    issuer TEXT,
    dcr_provider BLOB REFERENCES dcr_providers (id),
    labels TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE INDEX auth_strategies_created ON auth_strategies (created_at, id);
CREATE INDEX auth_strategies_dcr_provider ON auth_strategies (dcr_provider);
CREATE INDEX auth_strategies_issuer ON auth_strategies (issuer);

-- What is known of the issuers that strategies name.
CREATE TABLE issuers (
    issuer TEXT NOT NULL PRIMARY KEY,
    -- The issuer's metadata (OpenID Connect Discovery 1.0) and its keys (RFC 7517), as JSON; absent until they were
    -- fetched for the first time.
    metadata TEXT,
    keys TEXT,
    fetched_at BIGINT,
    -- When to fetch them next, how often that has failed since they last were, and why.
    next_at BIGINT NOT NULL,
    failures BIGINT NOT NULL,
    error TEXT
);
CREATE INDEX issuers_due ON issuers (next_at);

CREATE TABLE portals (
    id BLOB NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    display_name TEXT NOT NULL,
    description TEXT,
    is_public BIGINT NOT NULL,
    rbac_enabled BIGINT NOT NULL,
    auto_approve_applications BIGINT NOT NULL,
    auto_approve_developers BIGINT NOT NULL,
    -- The name it has without one of its own.
    default_domain TEXT NOT NULL,
    custom_domain TEXT,
    custom_client_domain TEXT,
    default_strategy BLOB REFERENCES auth_strategies (id),
    labels TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE UNIQUE INDEX portals_name ON portals (name);
CREATE INDEX portals_created ON portals (created_at, id);

CREATE TABLE api_products (
    id BLOB NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    description TEXT,
    labels TEXT NOT NULL,
    -- Those that developers may see.
    public_labels TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE INDEX api_products_name ON api_products (name);
CREATE INDEX api_products_created ON api_products (created_at, id);

-- In which portals a product can be seen.
CREATE TABLE portal_products (
    portal BLOB NOT NULL REFERENCES portals (id) ON DELETE CASCADE,
    product BLOB NOT NULL REFERENCES api_products (id) ON DELETE CASCADE,
    PRIMARY KEY (portal, product)
);
CREATE INDEX portal_products_product ON portal_products (product, portal);

CREATE TABLE product_versions (
    id BLOB NOT NULL PRIMARY KEY,
    product BLOB NOT NULL REFERENCES api_products (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    publish_status TEXT NOT NULL,
    deprecated BIGINT NOT NULL,
    -- The gateway service that serves it, and the control plane its caller named with it.
    service BLOB REFERENCES services (id) ON DELETE SET NULL,
    control_plane BLOB,
    -- Somebody took the last strategy away: the service is open to everybody.
    opened BIGINT NOT NULL,
    labels TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE UNIQUE INDEX product_versions_name ON product_versions (product, name);
CREATE UNIQUE INDEX product_versions_service ON product_versions (service);
CREATE INDEX product_versions_created ON product_versions (product, created_at, id);

-- A product version in a portal, and how applications get to use it there.
CREATE TABLE portal_versions (
    id BLOB NOT NULL PRIMARY KEY,
    portal BLOB NOT NULL REFERENCES portals (id) ON DELETE CASCADE,
    version BLOB NOT NULL REFERENCES product_versions (id) ON DELETE CASCADE,
    publish_status TEXT NOT NULL,
    strategy BLOB REFERENCES auth_strategies (id),
    application_registration_enabled BIGINT NOT NULL,
    auto_approve_registration BIGINT NOT NULL,
    deprecated BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE UNIQUE INDEX portal_versions_version ON portal_versions (portal, version);
CREATE INDEX portal_versions_created ON portal_versions (portal, created_at, id);
CREATE INDEX portal_versions_of ON portal_versions (version);
CREATE INDEX portal_versions_strategy ON portal_versions (strategy);

-- Absent only between this migration and the end of the first start after it.
ALTER TABLE developers ADD COLUMN portal BLOB REFERENCES portals (id);
-- Why the developer has the status.
ALTER TABLE developers ADD COLUMN reason TEXT;
CREATE INDEX developers_portal ON developers (portal, created_at, id);

-- Absent: the application holds keys for services that stand by themselves.
ALTER TABLE applications ADD COLUMN strategy BLOB REFERENCES auth_strategies (id);
-- What the issuer of an openid_connect strategy calls the application.
ALTER TABLE applications ADD COLUMN client_id TEXT;
-- The provider that made the client, and what it calls it where that is not the client id.
ALTER TABLE applications ADD COLUMN dcr_provider BLOB REFERENCES dcr_providers (id);
ALTER TABLE applications ADD COLUMN dcr_handle TEXT;
ALTER TABLE applications ADD COLUMN labels TEXT;
-- The scopes the application asked for, as JSON.
ALTER TABLE applications ADD COLUMN scopes TEXT;
CREATE UNIQUE INDEX applications_client_id ON applications (strategy, client_id);
CREATE INDEX applications_strategy ON applications (strategy);
CREATE INDEX applications_dcr_provider ON applications (dcr_provider);
CREATE INDEX applications_all ON applications (created_at, id);

-- What a person calls a credential.
ALTER TABLE credentials ADD COLUMN display_name TEXT;

-- Connections may be to a version of a product, with or without a service that serves it. The two databases have no
-- common way to let a column be empty, so the table is made again.
CREATE TABLE connections_kept AS SELECT * FROM connections;
DROP TABLE connections;
CREATE TABLE connections (
    id BLOB NOT NULL PRIMARY KEY,
    application BLOB NOT NULL REFERENCES applications (id) ON DELETE CASCADE,
    service BLOB REFERENCES services (id) ON DELETE CASCADE,
    version BLOB REFERENCES product_versions (id) ON DELETE CASCADE,
    status BIGINT NOT NULL,
    suspended BIGINT NOT NULL,
    -- Why it has the status, and the scopes that go with it, as JSON.
    reason TEXT,
    scopes TEXT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    CHECK (service IS NOT NULL OR version IS NOT NULL)
);
INSERT INTO connections (id, application, service, status, suspended, created_at, updated_at)
    SELECT id, application, service, status, suspended, created_at, updated_at FROM connections_kept;
DROP TABLE connections_kept;
CREATE UNIQUE INDEX connections_composite ON connections (application, service);
CREATE UNIQUE INDEX connections_version ON connections (application, version);
CREATE INDEX connections_created ON connections (application, created_at, id);
CREATE INDEX connections_service ON connections (service, created_at, id);
CREATE INDEX connections_of_version ON connections (version, created_at, id);
CREATE INDEX connections_all ON connections (created_at, id);

-- What an identity provider has still to be told, or may have been told without our knowing the answer.
CREATE TABLE dcr_jobs (
    id BLOB NOT NULL PRIMARY KEY,
    provider BLOB NOT NULL REFERENCES dcr_providers (id),
    -- create, delete, update, tidy or registration
    kind TEXT NOT NULL,
    application BLOB NOT NULL,
    -- Of a registration.
    version BLOB,
    -- What the provider calls the client, as far as that is known, and everything else the job needs, as JSON.
    client_id TEXT,
    details TEXT NOT NULL,
    attempts BIGINT NOT NULL,
    next_at BIGINT NOT NULL,
    -- Until then somebody is at it.
    claimed_until BIGINT NOT NULL,
    error TEXT,
    created_at BIGINT NOT NULL
);
CREATE INDEX dcr_jobs_due ON dcr_jobs (next_at);
CREATE INDEX dcr_jobs_application ON dcr_jobs (application);
CREATE INDEX dcr_jobs_provider ON dcr_jobs (provider);

-- Whether the records of developers' applications were derived with revoked developers kept out.
ALTER TABLE head ADD COLUMN revoke_blocks BIGINT NOT NULL DEFAULT 1;

-- The gateway token of the filters that are put on Kong's services, encrypted.
CREATE TABLE kong_filter (
    id BIGINT NOT NULL PRIMARY KEY CHECK (id = 1),
    sealed BLOB NOT NULL
);

-- A digest of what those filters were last given.
CREATE TABLE kong_given (
    id BIGINT NOT NULL PRIMARY KEY CHECK (id = 1),
    value TEXT NOT NULL
);

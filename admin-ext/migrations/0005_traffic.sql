-- What gateways counted of applications' requests. Applications and services are named and not referred to: a report may
-- come when they are gone, and what was counted then is no less true.

-- Who reports, and the last batch that was taken: each counts once, however often it is told.
CREATE TABLE traffic_reporters (
    id BLOB NOT NULL PRIMARY KEY,
    seq BIGINT NOT NULL,
    reported_at BIGINT NOT NULL
);
CREATE INDEX traffic_reporters_reported ON traffic_reporters (reported_at);

-- Requests by minute and by hour.
CREATE TABLE traffic (
    application BLOB NOT NULL,
    -- Milliseconds: a minute or an hour.
    span BIGINT NOT NULL,
    -- When the minute or hour begins.
    at BIGINT NOT NULL,
    service BLOB NOT NULL,
    -- The number of the outcome, as gateways keep it.
    outcome BIGINT NOT NULL,
    requests BIGINT NOT NULL,
    PRIMARY KEY (application, span, at, service, outcome)
);
CREATE INDEX traffic_age ON traffic (span, at);

-- When a request of an application was last counted, let through or not. Not a column of applications: that would make
-- every report wait for whoever changes one.
CREATE TABLE application_use (
    application BLOB NOT NULL PRIMARY KEY,
    last_used_at BIGINT NOT NULL
);
CREATE INDEX application_use_last ON application_use (last_used_at);

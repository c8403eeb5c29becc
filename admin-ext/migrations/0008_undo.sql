-- Decisions that can be undone for a moment, and what the console lists besides applications.

CREATE TABLE undos (
    id BLOB NOT NULL PRIMARY KEY,
    -- Whoever decided: nobody else can undo it.
    actor TEXT NOT NULL,
    ends_at BIGINT NOT NULL,
    -- What was before, and how to know that nobody has changed it since, as JSON.
    items TEXT NOT NULL
);
CREATE INDEX undos_ends ON undos (ends_at);

-- The connection or developer that a mail tells the status of.
ALTER TABLE mails ADD COLUMN subject BLOB;
CREATE INDEX mails_subject ON mails (subject);

DROP INDEX applications_strategy;
CREATE INDEX applications_strategy ON applications (strategy, created_at, id);

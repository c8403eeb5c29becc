-- What the console lists: applications newest first with what a search looks at, and what waits for a decision.
CREATE INDEX applications_listed ON applications (created_at, id, developer, name, client_id);
CREATE INDEX connections_status ON connections (status, created_at, id, application);
-- Without it, SQLite looks through all connections of a status for those of an application.
CREATE INDEX connections_application_status ON connections (application, status);

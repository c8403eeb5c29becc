-- What the console lists: applications newest first with what a search looks at, and what waits for a decision.
CREATE INDEX applications_listed ON applications (created_at, id, developer, name, client_id);
CREATE INDEX connections_status ON connections (status, created_at, id, application);

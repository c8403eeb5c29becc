//! DCR providers in the database; their secrets are sealed.

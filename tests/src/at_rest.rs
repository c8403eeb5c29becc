//! What an admin extension leaves on the disk, for secrets to be looked for in it.

use anyhow::{Context as _, Result};

use crate::admin::Admin;

/// Everything that the database has on the disk.
pub fn at_rest(admin: &Admin) -> Result<Vec<u8>> {
    if let Some(postgres) = admin.postgres() {
        let tables = postgres.query(
            "SELECT string_agg(table_name, ' ') FROM information_schema.tables WHERE table_schema = 'public'",
        )?;
        // Bytes are shown in hexadecimal.
        let rows = tables
            .split(' ')
            .map(|table| postgres.query(&format!("SELECT string_agg(t::text, ' ') FROM {table} t")));
        return Ok(rows.collect::<Result<Vec<_>>>()?.concat().into_bytes());
    }
    let mut all = Vec::new();
    for entry in std::fs::read_dir(admin.data())? {
        let path = entry?.path();
        if path.is_file() {
            all.extend(std::fs::read(&path).with_context(|| path.display().to_string())?);
        }
    }
    Ok(all)
}

/// Whether a text is in it, readable.
pub fn holds(bytes: &[u8], text: &str) -> bool {
    let hexadecimal = text.bytes().fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
    [text.as_bytes(), hexadecimal.as_bytes()]
        .iter()
        .any(|needle| bytes.windows(needle.len()).any(|window| window == *needle))
}

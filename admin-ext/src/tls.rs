//! Which cryptography TLS uses: that of `ring`, for every client in the process.

/// Says so to the TLS library; may be called any number of times, before any client is made.
pub fn install() {
    // An error says that it was said before.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

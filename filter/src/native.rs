//! Signatures verified by the host: Envoy's foreign function `verify_signature`, whose argument and result are Protocol
//! Buffers of four fields and one.

use app_auth_core::host::{HashFunction, NativeSignatures};

use crate::host;

const FUNCTION: &str = "verify_signature";

/// What the host of this worker can do.
pub struct Native {
    /// The other host has no such functions, and is not asked.
    pub available: bool,
}

impl NativeSignatures for Native {
    fn verify(
        &self,
        hash: HashFunction,
        public_key: &[u8],
        signature: &[u8],
        message: &[u8],
    ) -> Option<bool> {
        if !self.available {
            return None;
        }
        let fields = [hash.as_str().as_bytes(), public_key, signature, message];
        let size = fields.iter().map(|field| field.len() + 6).sum();
        let mut arguments = Vec::with_capacity(size);
        for (number, field) in (1..).zip(fields) {
            put_field(&mut arguments, number, field);
        }
        let result = host::foreign_function(FUNCTION, &arguments)?;
        // Field 1, a boolean; one that is not there is false.
        Some(result.starts_with(&[1 << 3, 1]))
    }
}

/// A field of bytes: number and wire type 2, length, content.
fn put_field(out: &mut Vec<u8>, number: u8, content: &[u8]) {
    out.push((number << 3) | 2);
    let mut length = content.len();
    while length >= 0x80 {
        out.push(u8::try_from(length & 0x7f).unwrap_or_default() | 0x80);
        length >>= 7;
    }
    out.push(u8::try_from(length).unwrap_or_default());
    out.extend_from_slice(content);
}

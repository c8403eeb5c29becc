//! Secrets in memory: they never show up in logs, and what they occupied is wiped.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use zeroize::Zeroizing;

use super::ambient::{Entropy, NoEntropy};

/// A readable secret: a key, a client secret, a password. `Debug` shows nothing of it; there is no `Display`.
#[derive(Clone, PartialEq, Eq)]
pub struct PlainSecret(Zeroizing<String>);

impl PlainSecret {
    /// Longest secret an operator may choose, in bytes.
    pub const MAX: usize = 512;

    pub fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    /// The secret itself. Every call is a place where it leaves our care.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The last four characters, for people to tell keys apart; empty if the secret is shorter than twelve, because
    /// four would give too much of it away.
    pub fn last_four(&self) -> String {
        let length = self.0.chars().count();
        if length < 12 { String::new() } else { self.0.chars().skip(length - 4).collect() }
    }

    /// 32 characters from 24 random bytes: base64, where `/` becomes a random upper-case and `+` a random lower-case
    /// letter, so that the secret survives in URLs and headers.
    pub fn generate(entropy: &dyn Entropy) -> Result<Self, NoEntropy> {
        let mut bytes = Zeroizing::new([0_u8; 24]);
        entropy.fill(bytes.as_mut())?;
        let encoded = Zeroizing::new(STANDARD.encode(bytes.as_ref()));
        let mut text = String::with_capacity(32);
        for character in encoded.chars() {
            text.push(match character {
                '/' => random_letter(entropy, b'A')?,
                '+' => random_letter(entropy, b'a')?,
                other => other,
            });
        }
        Ok(Self::new(text))
    }
}

/// One of the 26 letters that start at `first`, each equally likely.
fn random_letter(entropy: &dyn Entropy, first: u8) -> Result<char, NoEntropy> {
    // 234 is the largest multiple of 26 in a byte; rejecting the rest keeps the letters equally likely.
    let mut byte = [0_u8];
    for _ in 0..64 {
        entropy.fill(&mut byte)?;
        if byte[0] < 234 {
            return Ok(char::from(first + byte[0] % 26));
        }
    }
    Err(NoEntropy)
}

impl fmt::Debug for PlainSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PlainSecret(…)")
    }
}

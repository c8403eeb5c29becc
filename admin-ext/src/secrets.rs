//! Secrets at rest: readable ones sealed with the key file, passwords and client secrets hashed.

use std::fs;
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use aes_gcm::aead::{Aead as _, Payload};
use aes_gcm::{Aes256Gcm, KeyInit as _, Nonce};
use argon2::Argon2;
use argon2::password_hash::PasswordHasher as _;
use argon2::password_hash::phc::PasswordHash;
use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};
use sha1::{Digest as _, Sha1};
use subtle::ConstantTimeEq as _;
use tokio::sync::Semaphore;
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::model::{Entropy, PlainSecret};

/// First byte of everything sealed: which algorithm sealed it.
const AES_256_GCM: u8 = 1;
const NONCE: usize = 12;

#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    #[error("{path}: {source}")]
    Io { path: PathBuf, source: io::Error },
    #[error("{0}: expected 32 bytes")]
    Length(PathBuf),
    #[error(transparent)]
    Entropy(#[from] crate::model::ambient::NoEntropy),
}

/// Seals readable secrets with AES-256-GCM. What is sealed for one row opens for that row only.
pub struct Sealer(Aes256Gcm);

impl Sealer {
    /// With the key in the file; if there is none, makes it (for the owner's eyes only).
    pub fn open(path: &Path, entropy: &dyn Entropy) -> Result<Self, KeyFileError> {
        let failed = |source| KeyFileError::Io { path: path.to_owned(), source };
        let mut key = Zeroizing::new([0_u8; 32]);
        match fs::File::open(path) {
            Ok(file) => {
                let mut bytes = Zeroizing::new(Vec::with_capacity(33));
                file.take(33).read_to_end(&mut bytes).map_err(failed)?;
                if bytes.len() != 32 {
                    return Err(KeyFileError::Length(path.to_owned()));
                }
                key.copy_from_slice(&bytes);
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                entropy.fill(key.as_mut())?;
                create_durably(path, key.as_ref()).map_err(failed)?;
            }
            Err(error) => return Err(failed(error)),
        }
        Ok(Self(Aes256Gcm::new(&(*key).into())))
    }

    /// Seals a secret for a row.
    pub fn seal(
        &self,
        entropy: &dyn Entropy,
        row: &[u8],
        secret: &[u8],
    ) -> Result<Vec<u8>, crate::model::ambient::NoEntropy> {
        let mut nonce = [0_u8; NONCE];
        entropy.fill(&mut nonce)?;
        let payload = Payload { msg: secret, aad: row };
        // Fails only for texts of many gigabytes, which no rule lets in.
        let ciphertext =
            self.0.encrypt(&Nonce::from(nonce), payload).map_err(|_| crate::model::ambient::NoEntropy)?;
        let mut sealed = Vec::with_capacity(1 + NONCE + ciphertext.len());
        sealed.push(AES_256_GCM);
        sealed.extend_from_slice(&nonce);
        sealed.extend_from_slice(&ciphertext);
        Ok(sealed)
    }

    /// Opens what was sealed for the row; `None` if it was not sealed with this key or not for this row.
    pub fn open_sealed(&self, row: &[u8], sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let (&AES_256_GCM, rest) = sealed.split_first()? else { return None };
        let (nonce, ciphertext) = rest.split_first_chunk::<NONCE>()?;
        let payload = Payload { msg: ciphertext, aad: row };
        self.0.decrypt(&Nonce::from(*nonce), payload).ok().map(Zeroizing::new)
    }
}

/// Writes a new file that only its owner may read, and returns when it is on the disk: what is sealed with a key that
/// a power failure took away would be lost.
fn create_durably(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => fs::File::open(parent)?.sync_all(),
        _ => Ok(()),
    }
}

/// The hash of a password: Argon2id with the library's recommended cost, as a PHC string. Takes tens
/// of milliseconds, away from the threads that serve requests.
pub async fn hash(secret: &PlainSecret, salt: [u8; 16]) -> Option<PlainSecret> {
    let secret = secret.clone();
    tokio::task::spawn_blocking(move || {
        let hash: PasswordHash =
            Argon2::default().hash_password_with_salt(secret.expose().as_bytes(), &salt).ok()?;
        Some(PlainSecret::new(hash.to_string()))
    })
    .await
    .ok()
    .flatten()
}

/// Rounds of [`hash_client_secret`], as Kong's `oauth2` plugin has them. Generated secrets have 192 random bits, which no
/// number of rounds protects better.
const CLIENT_SECRET_ROUNDS: u32 = 10_000;

/// The hash of a client secret (`hash_secret`), in the notation Kong's `oauth2` plugin stores and shows:
/// `$pbkdf2-sha512$i=10000,l=32$<salt>$<hash>`. Takes milliseconds, away from the threads that serve requests.
pub async fn hash_client_secret(secret: &PlainSecret, salt: [u8; 16]) -> Option<PlainSecret> {
    let secret = secret.clone();
    tokio::task::spawn_blocking(move || {
        let mut hash = [0_u8; 32];
        pbkdf2::pbkdf2_hmac::<sha2::Sha512>(
            secret.expose().as_bytes(),
            &salt,
            CLIENT_SECRET_ROUNDS,
            &mut hash,
        );
        PlainSecret::new(format!(
            "$pbkdf2-sha512$i={CLIENT_SECRET_ROUNDS},l={}${}${}",
            hash.len(),
            STANDARD_NO_PAD.encode(salt),
            STANDARD_NO_PAD.encode(hash)
        ))
    })
    .await
    .ok()
}

/// Hashes that are computed at a time for callers nobody knows yet: whoever tries secrets keeps no more processors busy.
static VERIFYING: Semaphore = Semaphore::const_new(4);

/// Whether a client secret has this hash, in the notation of [`hash_client_secret`]. Without one, it takes as long and is
/// false: who tries clients does not learn from the time which of them exist.
pub async fn verify_client_secret(secret: &PlainSecret, hash: Option<&PlainSecret>) -> bool {
    let (secret, hash) = (secret.clone(), hash.cloned());
    let Ok(_turn) = VERIFYING.acquire().await else { return false };
    tokio::task::spawn_blocking(move || {
        let parts = hash.as_ref().and_then(|hash| hash_parts(hash.expose()));
        let known = parts.is_some();
        let (rounds, salt, wanted) = parts.unwrap_or((CLIENT_SECRET_ROUNDS, vec![0; 16], vec![0; 32]));
        let mut computed = vec![0; wanted.len()];
        pbkdf2::pbkdf2_hmac::<sha2::Sha512>(secret.expose().as_bytes(), &salt, rounds, &mut computed);
        bool::from(computed.ct_eq(&wanted)) & known
    })
    .await
    .unwrap_or(false)
}

/// Rounds, salt and hash; `None` where it is not in the notation, or would take beyond reason to compute.
fn hash_parts(text: &str) -> Option<(u32, Vec<u8>, Vec<u8>)> {
    let mut parts = text.strip_prefix("$pbkdf2-sha512$i=")?.split('$');
    let (rounds, length) = parts.next()?.split_once(",l=")?;
    let (salt, hash) = (parts.next()?, parts.next()?);
    let (salt, hash) = (STANDARD_NO_PAD.decode(salt).ok()?, STANDARD_NO_PAD.decode(hash).ok()?);
    let (rounds, length) = (rounds.parse().ok()?, length.parse::<usize>().ok()?);
    let fits = (1..=10 * CLIENT_SECRET_ROUNDS).contains(&rounds) && (16..=64).contains(&length);
    (fits && hash.len() == length && parts.next().is_none()).then_some((rounds, salt, hash))
}

/// What Kong's `basic-auth` plugin keeps and shows of a password: SHA-1 over the password and its consumer's id, in
/// hexadecimal. Nothing here checks passwords against it, and at rest it is sealed like every secret.
pub fn basic_auth_hash(password: &PlainSecret, consumer: Uuid) -> PlainSecret {
    let mut hash = Sha1::new();
    hash.update(password.expose());
    hash.update(consumer.to_string());
    let mut text = String::with_capacity(40);
    for byte in hash.finalize() {
        for digit in [byte >> 4, byte & 15] {
            text.extend(char::from_digit(digit.into(), 16));
        }
    }
    PlainSecret::new(text)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::model::OsEntropy;

    #[test]
    fn what_is_sealed_for_a_row_opens_for_that_row_and_key_only() {
        let folder = tempfile::tempdir().unwrap();
        let ours = Sealer::open(&folder.path().join("key"), &OsEntropy).unwrap();
        let theirs = Sealer::open(&folder.path().join("other"), &OsEntropy).unwrap();
        let sealed = ours.seal(&OsEntropy, b"row 1", b"secret").unwrap();

        assert_eq!(ours.open_sealed(b"row 1", &sealed).unwrap().as_slice(), b"secret");
        assert!(ours.open_sealed(b"row 2", &sealed).is_none());
        assert!(theirs.open_sealed(b"row 1", &sealed).is_none());
        for cut in 0..sealed.len() {
            assert!(ours.open_sealed(b"row 1", &sealed[..cut]).is_none());
        }
    }

    #[test]
    fn the_key_file_is_made_once_and_for_its_owner_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        let first = Sealer::open(&path, &OsEntropy).unwrap();
        let sealed = first.seal(&OsEntropy, b"row", b"secret").unwrap();
        let again = Sealer::open(&path, &OsEntropy).unwrap();

        assert_eq!(again.open_sealed(b"row", &sealed).unwrap().as_slice(), b"secret");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_damaged_key_file_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        fs::write(&path, [0; 31]).unwrap();

        assert!(matches!(Sealer::open(&path, &OsEntropy), Err(KeyFileError::Length(_))));
    }

    #[tokio::test]
    async fn a_hash_is_argon2id_and_shows_nothing_of_the_secret() {
        let hash = hash(&PlainSecret::new("correct horse"), [7; 16]).await.unwrap();

        assert!(hash.expose().starts_with("$argon2id$"));
        assert!(!hash.expose().contains("horse"));
    }

    /// The hash part was computed with Python's `hashlib.pbkdf2_hmac("sha512", b"mysecret", bytes([7]) * 16, 10000, 32)`.
    #[tokio::test]
    async fn a_client_secret_is_hashed_as_kong_does_it() {
        let hash = hash_client_secret(&PlainSecret::new("mysecret"), [7; 16]).await.unwrap();
        assert_eq!(
            hash.expose(),
            "$pbkdf2-sha512$i=10000,l=32$BwcHBwcHBwcHBwcHBwcHBw$IiMQ6tm+0SuDvAWr3wmce0Tdu+1ch5mfu815ipnC8+0"
        );
    }

    #[tokio::test]
    async fn only_the_secret_itself_has_its_hash() {
        let secret = PlainSecret::new("mysecret");
        let hash = hash_client_secret(&secret, [7; 16]).await.unwrap();

        assert!(verify_client_secret(&secret, Some(&hash)).await);
        assert!(!verify_client_secret(&PlainSecret::new("mysecreT"), Some(&hash)).await);
        assert!(!verify_client_secret(&secret, None).await);
        for broken in ["", "$pbkdf2-sha512$i=1,l=0$$", "$pbkdf2-sha512$i=99999999,l=32$BwcHBw$BwcHBw"] {
            assert!(!verify_client_secret(&secret, Some(&PlainSecret::new(broken))).await, "{broken}");
        }
    }

    /// Computed with Python's `hashlib.sha1(b"mypass" + b"62d17e63-0628-43a3-b936-97b8dcbd366f")`.
    #[test]
    fn a_basic_auth_password_is_hashed_as_kong_does_it() {
        let consumer = "62d17e63-0628-43a3-b936-97b8dcbd366f".parse().unwrap();
        assert_eq!(
            basic_auth_hash(&PlainSecret::new("mypass"), consumer).expose(),
            "d2d4e30f35f4ab3d5fd156098754e97263bf93c1"
        );
    }
}

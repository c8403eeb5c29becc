//! What a request may have to wait for: a call that the gate wants made, and what came of it.
//!
//! A request whose decision needs an answer is decided again, from the start, when the answer is there. So nothing has to
//! be remembered of where it stopped, and whatever changed meanwhile counts.

/// Most calls that one request waits for, one after the other.
pub const CALLS_MAX: usize = 12;

/// What a call is about: a digest over everything that makes it this call.
pub type CallKey = [u8; 32];

/// A call to be made for a request.
#[derive(Clone, PartialEq, Eq)]
pub struct Call {
    pub key: CallKey,
    pub to: Destination,
    /// With the query. The method is always `POST`.
    pub path: String,
    pub content_type: &'static str,
    /// Value of `Authorization`, where the destination is no admin extension.
    pub authorization: Option<String>,
    pub body: Vec<u8>,
    pub timeout_milliseconds: u32,
}

// Nothing of a call but where it goes may get into a log: it is made of secrets.
impl std::fmt::Debug for Call {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Call").field("to", &self.to).finish_non_exhaustive()
    }
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Destination {
    AdminExtension,
    Origin(Origin),
}

/// Where an `http` or `https` URL leads, without its path (RFC 6454).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Origin {
    pub https: bool,
    /// As the `Host` header has it.
    pub authority: String,
    /// `host:port`, the port always there: what the gateway calls it.
    pub address: String,
}

impl Origin {
    /// Longest URL that is followed, in bytes.
    const URL_MAX: usize = 2048;

    /// The origin of a URL, and its path with the query. `None` for anything but a plain `http` or `https` URL.
    pub fn of(url: &str) -> Option<(Self, String)> {
        if url.len() > Self::URL_MAX || !url.bytes().all(|byte| byte.is_ascii_graphic()) {
            return None;
        }
        let (https, rest) = match url.strip_prefix("https://") {
            Some(rest) => (true, rest),
            None => (false, url.strip_prefix("http://")?),
        };
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at_checked(end)?;
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:[]".contains(&byte);
        if authority.is_empty() || !authority.bytes().all(fits) {
            return None;
        }
        // An address of version 6 has colons of its own, inside its brackets.
        let port = authority.rsplit_once(':').filter(|(_, port)| !port.ends_with(']'));
        let address = match port {
            Some((host, port)) => {
                let number: u16 = port.parse().ok()?;
                (!host.is_empty() && number > 0).then(|| authority.to_owned())?
            }
            None => format!("{authority}:{}", if https { 443 } else { 80 }),
        };
        let path = path.split('#').next().unwrap_or_default();
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        Some((
            Self { https, authority: authority.to_ascii_lowercase(), address: address.to_ascii_lowercase() },
            path,
        ))
    }
}

/// What came of a call.
#[derive(Clone, PartialEq, Eq)]
pub struct Answer {
    /// `None`: there was none.
    pub status: Option<u16>,
    pub body: Vec<u8>,
}

impl Answer {
    /// There was none.
    pub const NONE: Self = Self { status: None, body: Vec::new() };
}

/// What a request has waited for so far.
#[derive(Default)]
pub struct Progress {
    answers: Vec<(CallKey, Answer)>,
}

impl Progress {
    pub fn answered(&mut self, key: CallKey, answer: Answer) {
        self.answers.push((key, answer));
    }

    /// The latest answer to a call.
    pub fn answer(&self, key: &CallKey) -> Option<&Answer> {
        self.answers.iter().rev().find(|(known, _)| known == key).map(|(_, answer)| answer)
    }

    /// How often a call was made for this request.
    pub fn times(&self, key: &CallKey) -> usize {
        self.answers.iter().filter(|(known, _)| known == key).count()
    }

    /// Whether another call would be one too many.
    pub const fn is_exhausted(&self) -> bool {
        self.answers.len() >= CALLS_MAX
    }
}

/// The key of a call, by what it is for (one byte) and what it says; each part with its length before it.
pub fn key(purpose: u8, parts: &[&[u8]]) -> CallKey {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&[purpose]);
    for part in parts {
        hasher.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_le_bytes()).update(part);
    }
    *hasher.finalize().as_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(url: &str) -> Option<(bool, String, String, String)> {
        let (origin, path) = Origin::of(url)?;
        Some((origin.https, origin.authority, origin.address, path))
    }

    #[test]
    fn an_origin_always_has_a_port() {
        let expect = |https, authority: &str, address: &str, path: &str| {
            Some((https, authority.to_owned(), address.to_owned(), path.to_owned()))
        };
        assert_eq!(of("https://idp.example/token"), expect(true, "idp.example", "idp.example:443", "/token"));
        assert_eq!(of("http://IDP.example"), expect(false, "idp.example", "idp.example:80", "/"));
        assert_eq!(
            of("http://127.0.0.1:81/a?b=c#d"),
            expect(false, "127.0.0.1:81", "127.0.0.1:81", "/a?b=c")
        );
        assert_eq!(of("https://[::1]?x"), expect(true, "[::1]", "[::1]:443", "/?x"));
        assert_eq!(of("https://[::1]:8443/"), expect(true, "[::1]:8443", "[::1]:8443", "/"));
    }

    #[test]
    fn what_is_no_plain_url_leads_nowhere() {
        for url in [
            "",
            "idp.example",
            "ftp://a/",
            "https://",
            "https:///x",
            "https://u:p@a/",
            "https://a b/",
            "http://a:0/",
            "http://a:99999/",
            "http://:80/",
            "https://a/\u{e9}",
            "https://a\r\n/",
        ] {
            assert_eq!(of(url), None, "{url}");
        }
    }

    #[test]
    fn keys_of_calls_do_not_depend_on_where_a_part_ends() {
        assert_ne!(key(1, &[b"ab", b"c"]), key(1, &[b"a", b"bc"]));
        assert_ne!(key(1, &[b"a"]), key(2, &[b"a"]));
    }
}

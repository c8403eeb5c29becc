//! Where a visitor goes after sign-in: back to a page of the console, and nowhere else (no open redirect).

use url::Url;

use super::PREFIX;

/// Longest address to go back to, in bytes.
const NEXT_MAX: usize = 2048;

/// The address if it names a page of the console, in the one spelling browsers have for it; else the first page.
pub fn page_of_console(next: &str) -> &str {
    if is_page_of_console(next) { next } else { PREFIX }
}

/// The page of the console that a whole URL names, as a browser tells where it is. Its host does not matter: only path
/// and query are gone back to.
pub fn page_of_url(url: &str) -> Option<String> {
    let url = Url::parse(url).ok()?;
    let page = url.query().map_or_else(|| url.path().to_owned(), |query| format!("{}?{query}", url.path()));
    is_page_of_console(&page).then_some(page)
}

/// The address of the sign-in page that leads back to a page.
pub fn sign_in_for(next: &str) -> String {
    let next = page_of_console(next);
    if next == PREFIX {
        return format!("{PREFIX}/sign-in");
    }
    let query = url::form_urlencoded::Serializer::new(String::new()).append_pair("next", next).finish();
    format!("{PREFIX}/sign-in?{query}")
}

fn is_page_of_console(next: &str) -> bool {
    let Some(rest) = next.strip_prefix(PREFIX) else { return false };
    let (path, _) = rest.split_once('?').unwrap_or((rest, ""));
    let below = path.is_empty() || path.starts_with('/');
    let signing = ["/sign-in", "/sign-out"].iter().any(|own| path.starts_with(own));
    // A browser may read another spelling as another address; one that it leaves as it is has one reading only.
    let unchanged = Url::parse("http://console.invalid")
        .and_then(|base| base.join(next))
        .is_ok_and(|url| url.as_str().strip_prefix("http://console.invalid") == Some(next));
    next.len() <= NEXT_MAX
        && next.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\' && byte != b'#')
        && below
        && !signing
        && !path.contains("//")
        && unchanged
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_pages_of_the_console_are_gone_to() {
        for page in ["/console", "/console/", "/console/applications?q=a%20b&page=2", "/console?x=//y"] {
            assert_eq!(page_of_console(page), page);
        }
        for elsewhere in [
            "",
            "/",
            "/developers",
            "console",
            "//evil.example",
            "///evil.example",
            "/\\evil.example",
            "\\\\evil.example",
            "https://evil.example/console",
            "javascript:alert(1)",
            "/consolex",
            "/console//evil.example",
            "/console/../developers",
            "/console/%2e%2e/developers",
            "/console/./x",
            "/console\\..\\developers",
            "/console/a\tb",
            "/console/a\r\nset-cookie: x=y",
            "/console/a b",
            "/console/ä",
            "/console#x",
            "/console@evil.example",
            "/console:80",
            "/console/sign-in",
            "/console/sign-in?next=/console",
            "/console/sign-out",
        ] {
            assert_eq!(page_of_console(elsewhere), "/console", "{elsewhere:?}");
        }
        let long = format!("/console?{}", "x".repeat(NEXT_MAX));
        assert_eq!(page_of_console(&long), "/console");
    }

    #[test]
    fn a_browser_tells_where_it_is_by_a_whole_url() {
        let page = page_of_url("http://localhost:8005/console/developers?status=1#top");
        assert_eq!(page.as_deref(), Some("/console/developers?status=1"));
        assert_eq!(page_of_url("http://localhost:8005/developers"), None);
        assert_eq!(page_of_url("/console"), None);
        assert_eq!(sign_in_for("/console/a?b=c&d"), "/console/sign-in?next=%2Fconsole%2Fa%3Fb%3Dc%26d");
        assert_eq!(sign_in_for("//evil.example"), "/console/sign-in");
    }
}

//! URIs of clients: the rules for those that are registered, and redirect URIs in requests.
//! <https://spec.matrix.org/v1.18/client-server-api/#redirect-uri-validation>

use url::{Host, Url};

/// Maximum length of a URI, in bytes.
const MAX_LENGTH: usize = 2048;
/// The hosts of the loopback interface, where native clients may listen.
const LOOPBACK: [&str; 3] = ["localhost", "127.0.0.1", "[::1]"];

/// Returns a URI in parsed form; `None` if it is none, or contains characters that programs read in different ways.
fn parse(text: &str) -> Option<Url> {
    let is_plain = |byte: u8| {
        byte.is_ascii_graphic()
            && !matches!(byte, b'"' | b'<' | b'>' | b'\\' | b'^' | b'`' | b'{' | b'|' | b'}')
    };
    if text.len() > MAX_LENGTH || !text.bytes().all(is_plain) {
        return None;
    }
    Url::parse(text).ok()
}

/// Returns the host of a URL with `https`, without a user and a password; `None` for anything else.
pub(crate) fn web_host(text: &str) -> Option<Host<String>> {
    let url = parse(text).filter(|url| text.starts_with("https://") && url.username().is_empty())?;
    if url.password().is_some() {
        return None;
    }
    let host = url.host().map(|host| host.to_owned())?;
    // Other names can be parsed, but are none of the Internet; and the host becomes a part of a header.
    let is_named = match &host {
        Host::Domain(name) => name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte)),
        Host::Ipv4(_) | Host::Ipv6(_) => true,
    };
    is_named.then_some(host)
}

/// Returns true if a host is that of a client, or a subdomain of it.
pub(crate) fn is_within(host: &Host<String>, client: &Host<String>) -> bool {
    match (host, client) {
        (Host::Domain(host), Host::Domain(client)) => {
            // A name of one label, such as `localhost` or `com`, has no subdomains of its own.
            let is_below = |rest: &str| rest.ends_with('.') && client.contains('.');
            host.strip_suffix(client.as_str()).is_some_and(|rest| rest.is_empty() || is_below(rest))
        }
        (Host::Domain(_) | Host::Ipv4(_) | Host::Ipv6(_), _) => host == client,
    }
}

/// Checks a redirect URI of a client at a host. Returns what is wrong with it.
pub(crate) fn check_redirect(text: &str, client: &Host<String>, is_native: bool) -> Result<(), &'static str> {
    let url = parse(text).ok_or("is not a URI")?;
    if url.fragment().is_some() {
        return Err("must not have a fragment");
    }
    match url.scheme() {
        "https" => match web_host(text) {
            Some(host) if is_within(&host, client) => Ok(()),
            Some(_) => Err("must be at the host of 'client_uri', or a subdomain of it"),
            None => Err("must be a URL without user and password"),
        },
        "http" if is_native => {
            if loopback(text).is_some() {
                Ok(())
            } else {
                Err("must be on the loopback interface, without a port, if it begins with http")
            }
        }
        scheme if is_native => check_private(text, scheme, client),
        _ => Err("must begin with https://"),
    }
}

/// Checks a redirect URI with a scheme of the client's own.
fn check_private(text: &str, scheme: &str, client: &Host<String>) -> Result<(), &'static str> {
    const WRONG: &str = "must have a scheme that begins with the host of 'client_uri' in reverse order";
    let Host::Domain(client) = client else { return Err(WRONG) };
    let reversed = client.split('.').rev().collect::<Vec<_>>().join(".");
    let is_own = scheme
        .strip_prefix(&reversed)
        .is_some_and(|rest| reversed.contains('.') && (rest.is_empty() || rest.starts_with('.')));
    if !is_own {
        return Err(WRONG);
    }
    let rest = text.split_once(':').map_or("", |(_, rest)| rest);
    if rest.starts_with("//") { Err("must not have an authority") } else { Ok(()) }
}

/// Returns a URL without a port on the loopback interface as its host and the rest; `None` for anything else.
fn loopback(text: &str) -> Option<(&str, &str)> {
    let rest = text.strip_prefix("http://")?;
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (host, rest) = rest.split_at(end);
    is_loopback(host).then_some((host, rest))
}

/// Returns true if a redirect URI in a request is a registered one: the same text, with any port if it is on the loopback
/// interface (RFC 8252, 7.3).
pub(crate) fn matches(registered: &str, given: &str) -> bool {
    if registered == given {
        return true;
    }
    let with_port = |(host, rest): (&str, &str)| {
        let given = given.strip_prefix("http://")?.strip_prefix(host)?.strip_prefix(':')?;
        let port = given.strip_suffix(rest)?;
        (port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok()).then_some(())
    };
    loopback(registered).and_then(with_port).is_some()
}

/// Returns a redirect URI with the fields of a response, in its query string or as its fragment.
pub(crate) fn with_fields(redirect_uri: &str, as_fragment: bool, fields: &[(&str, &str)]) -> String {
    let separator = match (as_fragment, redirect_uri.contains('?')) {
        (true, _) => '#',
        (false, true) => '&',
        (false, false) => '?',
    };
    let fields = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    format!("{redirect_uri}{separator}{fields}")
}

/// Returns the source expression by which a Content Security Policy lets a form continue at a redirect URI; `None` if it is no
/// URI.
pub(crate) fn source(redirect_uri: &str) -> Option<String> {
    let url = Url::parse(redirect_uri).ok()?;
    Some(match (url.scheme(), url.host()) {
        ("http" | "https", Some(Host::Domain(_) | Host::Ipv4(_))) => url.origin().ascii_serialization(),
        // A source cannot name an address of IPv6.
        (scheme, _) => format!("{scheme}:"),
    })
}

/// Returns true for a host of the loopback interface.
pub(crate) fn is_loopback(host: &str) -> bool {
    LOOPBACK.contains(&host)
}

/// Returns the host at which a browser continues with a redirect URI; `None` for a scheme of the client's own.
pub(crate) fn host(redirect_uri: &str) -> Option<String> {
    Url::parse(redirect_uri).ok()?.host_str().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client() -> Host<String> {
        web_host("https://example.com/").unwrap()
    }

    #[test]
    fn urls_of_the_web() {
        for good in
            ["https://example.com", "https://EXAMPLE.com:8443/a?b=c", "https://192.0.2.1/", "https://[::1]/"]
        {
            assert!(web_host(good).is_some(), "{good}");
        }
        for bad in [
            "http://example.com/",
            "https:example.com",
            "HTTPS://example.com",
            "https://",
            "https://user@example.com/",
            "https://:secret@example.com/",
            "https://example.com/ a",
            "https://example.com\\@evil.example/",
            "https://a;b.example.com/",
            "https://exämple.com/",
            "//example.com/",
            "",
        ] {
            assert!(web_host(bad).is_none(), "{bad}");
        }
        assert!(web_host(&format!("https://example.com/{}", "a".repeat(2048))).is_none());
    }

    #[test]
    fn hosts_within_a_client() {
        let host = |name: &str| web_host(&format!("https://{name}/")).unwrap();
        assert!(is_within(&host("example.com"), &client()));
        assert!(is_within(&host("a.b.example.com"), &client()));
        for other in ["com", "evilexample.com", "example.com.evil.example", "example.org", "192.0.2.1"] {
            assert!(!is_within(&host(other), &client()), "{other}");
        }
        assert!(is_within(&host("localhost"), &host("localhost")));
        assert!(!is_within(&host("example.com"), &host("com")));
        assert!(is_within(&host("192.0.2.1"), &host("192.0.2.1")));
        assert!(!is_within(&host("192.0.2.2"), &host("192.0.2.1")));
    }

    #[test]
    fn redirect_uris() {
        let web = [
            "https://example.com/callback",
            "https://app.example.com/callback",
            "https://example.com:5173/?query=value",
        ];
        for uri in web {
            assert_eq!(check_redirect(uri, &client(), false), Ok(()), "{uri}");
            assert_eq!(check_redirect(uri, &client(), true), Ok(()), "{uri}");
        }
        let native = [
            "com.example.app:/callback",
            "com.example:/",
            "com.example:callback",
            "http://localhost/callback",
            "http://127.0.0.1/callback",
            "http://[::1]/callback",
            "http://localhost",
        ];
        for uri in native {
            assert!(check_redirect(uri, &client(), false).is_err(), "{uri}");
            assert_eq!(check_redirect(uri, &client(), true), Ok(()), "{uri}");
        }
        for uri in [
            "https://example.com/callback#fragment",
            "https://example.com/callback#",
            "http://example.com/callback",
            "https://user@example.com/",
            "https://other.org/",
            "https://localhost/callback",
            "http://localhost:1234/callback",
            "http://localhost:80/callback",
            "http://user@localhost/",
            "http://127.1/",
            "http://localhost.evil.example/",
            "example:/callback",
            "com.example.app://callback",
            "com.examples:/callback",
            "org.example:/callback",
            "javascript:alert(1)",
            "data:text/html,x",
            "/callback",
            "",
        ] {
            assert!(check_redirect(uri, &client(), true).is_err(), "{uri}");
        }
        let address = web_host("https://192.0.2.1/").unwrap();
        assert!(check_redirect("1.2.0.192:/", &address, true).is_err());
        let label = web_host("https://localhost/").unwrap();
        assert!(check_redirect("localhost:/", &label, true).is_err());
    }

    #[test]
    fn redirect_uris_in_requests() {
        let uri = "http://127.0.0.1/callback?a=b";
        for given in [uri, "http://127.0.0.1:1/callback?a=b", "http://127.0.0.1:65535/callback?a=b"] {
            assert!(matches(uri, given), "{given}");
        }
        for given in [
            "http://127.0.0.1:/callback?a=b",
            "http://127.0.0.1:65536/callback?a=b",
            "http://127.0.0.1:+1/callback?a=b",
            "http://127.0.0.1:1@evil.example/callback?a=b",
            "http://127.0.0.1:1/other/callback?a=b",
            "http://127.0.0.1:1/callback",
            "http://localhost:1/callback?a=b",
            "https://127.0.0.1:1/callback?a=b",
        ] {
            assert!(!matches(uri, given), "{given}");
        }
        assert!(matches("http://localhost", "http://localhost:8080"));
        assert!(!matches("https://example.com/", "https://example.com:8443/"));
        assert!(!matches("https://example.com/a", "https://example.com/a/"));
        assert!(!matches("https://example.com/a", "https://example.com/b/../a"));
    }

    #[test]
    fn responses() {
        let fields = [("code", "a b"), ("iss", "https://x/")];
        let encoded = "code=a+b&iss=https%3A%2F%2Fx%2F";
        for (uri, as_fragment, wanted) in [
            ("https://example.com/", false, format!("https://example.com/?{encoded}")),
            ("https://example.com/?a=b", false, format!("https://example.com/?a=b&{encoded}")),
            ("https://example.com/?a=b", true, format!("https://example.com/?a=b#{encoded}")),
            ("com.example:/", false, format!("com.example:/?{encoded}")),
        ] {
            assert_eq!(with_fields(uri, as_fragment, &fields), wanted);
        }
    }

    #[test]
    fn sources_of_policies() {
        for (uri, wanted) in [
            ("https://app.example.com/a?b=c", "https://app.example.com"),
            ("https://example.com:8443/", "https://example.com:8443"),
            ("http://127.0.0.1:1234/", "http://127.0.0.1:1234"),
            ("http://[::1]:1234/", "http:"),
            ("com.example.app:/callback", "com.example.app:"),
        ] {
            assert_eq!(source(uri).as_deref(), Some(wanted), "{uri}");
        }
        assert_eq!(host("https://app.example.com/a").as_deref(), Some("app.example.com"));
        assert_eq!(host("com.example.app:/callback"), None);
    }
}

//! Who may ask what of the server.
//!
//! Promises: pages of other origins learn and do nothing, also when a name of theirs leads here (DNS rebinding);
//! nothing but reading goes without the token; beyond loopback nothing at all does.

use std::net::IpAddr;

use super::Problem;
use crate::sys::serve::Asked;
use crate::sys::token::Token;

/// Who may ask.
pub(super) struct Access {
    /// The token; none: nobody may do more than read.
    pub(super) token: Option<Token>,
    /// Whether reading needs it, too.
    pub(super) is_closed: bool,
    /// Names by which the server may be called.
    pub(super) names: Vec<String>,
}

impl Access {
    /// Whether this may be asked; `writes`: it changes something.
    pub(super) fn check(&self, asked: &Asked, writes: bool) -> Result<(), Problem> {
        self.addressed(asked)?;
        if !writes && !self.is_closed {
            return Ok(());
        }
        let Some(token) = &self.token else {
            let why = "this server was started without a token, so it only reads";
            return Err(Problem::new(403, "a token is needed", why).help(
                "start it with --token-env NAME or --token-file FILE, and send `Authorization: Bearer TOKEN`",
            ));
        };
        let given = asked.header("authorization").and_then(bearer);
        match given {
            Some(given) if token.is(given) => Ok(()),
            Some(_) => Err(Problem::new(
                401,
                "the token is wrong",
                "it is not the token of this server",
            )),
            None => Err(Problem::new(401, "a token is needed", "no token was sent")
                .help("send `Authorization: Bearer TOKEN`")),
        }
    }

    /// Whether it is this server that is meant, and nobody else's page that asks.
    fn addressed(&self, asked: &Asked) -> Result<(), Problem> {
        let is_ours = |authority: &str| {
            let host = host(authority);
            host.parse::<IpAddr>().is_ok()
                || host.eq_ignore_ascii_case("localhost")
                || self
                    .names
                    .iter()
                    .any(|name| host.eq_ignore_ascii_case(name))
        };
        let authority = asked.header("host").unwrap_or_default();
        if !is_ours(authority) {
            let why = "the server does not go by the name in `Host`";
            return Err(Problem::new(403, "not from there", why)
                .help("call it by its address or as localhost; --host NAME permits another name"));
        }
        let is_same = match asked.header("origin") {
            Some(origin) => origin
                .split_once("://")
                .is_some_and(|(_, other)| other.eq_ignore_ascii_case(authority)),
            None => !asked.has("origin"),
        };
        let is_foreign = asked
            .header("sec-fetch-site")
            .is_some_and(|site| matches!(site, "cross-site" | "same-site"));
        // A link from elsewhere may lead to the page; nothing else of another site may ask.
        let is_link = asked.header("sec-fetch-mode") == Some("navigate")
            && asked.header("sec-fetch-dest") == Some("document");
        if is_same && (!is_foreign || is_link) {
            return Ok(());
        }
        let why = "a page of another origin asks";
        Err(Problem::new(403, "not from there", why))
    }
}

/// The host of `HOST` or `HOST:PORT`; that of an address of IPv6 without its brackets.
fn host(authority: &str) -> &str {
    if let Some(rest) = authority.strip_prefix('[') {
        return rest.split_once(']').map_or("", |(host, _)| host);
    }
    authority
        .rsplit_once(':')
        .map_or(authority, |(host, _)| host)
}

fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_once(' ')?;
    scheme
        .eq_ignore_ascii_case("bearer")
        .then_some(token.trim_matches(' '))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn access(token: Option<&str>, is_closed: bool) -> Access {
        Access {
            token: token.and_then(Token::new),
            is_closed,
            names: vec!["caches.example".to_owned()],
        }
    }

    fn status(access: &Access, headers: &[(&str, &str)], writes: bool) -> u16 {
        let asked = Asked::made_up("GET", "/", headers);
        access
            .check(&asked, writes)
            .err()
            .map_or(200, |it| it.status)
    }

    #[test]
    fn only_our_own_names_are_answered() {
        let open = access(None, false);
        for host in [
            "127.0.0.1:7862",
            "127.0.0.1",
            "localhost:1",
            "LOCALHOST",
            "[::1]:7862",
            "[::1]",
            "10.0.0.5:80",
            "caches.example:7862",
        ] {
            assert_eq!(status(&open, &[("host", host)], false), 200, "{host}");
        }
        for host in [
            "",
            "evil.example",
            "evil.example:7862",
            "127.0.0.1.evil.example",
            "localhost.evil.example",
            "[::1",
            "[evil]:1",
            "caches.example.evil",
            "x@127.0.0.1@evil.example:1",
            ":7862",
        ] {
            assert_eq!(status(&open, &[("host", host)], false), 403, "{host}");
        }
        assert_eq!(status(&open, &[], false), 403);
        let twice = [("host", "localhost"), ("host", "evil.example")];
        assert_eq!(status(&open, &twice, false), 403);
    }

    #[test]
    fn pages_of_others_ask_nothing() {
        let open = access(None, false);
        let ask = |more: &[(&str, &str)]| {
            let mut headers = vec![("host", "localhost:7862")];
            headers.extend(more);
            status(&open, &headers, false)
        };
        assert_eq!(ask(&[("origin", "http://localhost:7862")]), 200);
        for origin in [
            "http://evil.example",
            "null",
            "http://localhost:80",
            "",
            "http://localhost:7862.evil",
        ] {
            assert_eq!(ask(&[("origin", origin)]), 403, "{origin}");
        }
        assert_eq!(ask(&[("sec-fetch-site", "cross-site")]), 403);
        assert_eq!(ask(&[("sec-fetch-site", "same-site")]), 403);
        assert_eq!(ask(&[("sec-fetch-site", "same-origin")]), 200);
        let link = [
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-mode", "navigate"),
            ("sec-fetch-dest", "document"),
        ];
        assert_eq!(ask(&link), 200);
        let frame = [
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-mode", "navigate"),
            ("sec-fetch-dest", "iframe"),
        ];
        assert_eq!(ask(&frame), 403);
    }

    #[test]
    fn changing_needs_the_token_and_so_does_reading_from_afar() {
        let ask = |access: &Access, token: &str, writes| {
            let headers = [("host", "localhost"), ("authorization", token)];
            status(
                access,
                if token.is_empty() {
                    &headers[..1]
                } else {
                    &headers
                },
                writes,
            )
        };
        let without = access(None, false);
        assert_eq!(
            (ask(&without, "", false), ask(&without, "Bearer x", true)),
            (200, 403)
        );
        let open = access(Some("secret"), false);
        for (token, expected) in [
            ("", 401),
            ("Bearer secret", 200),
            ("bearer  secret", 200),
            ("Bearer secre", 401),
            ("Bearer secrets", 401),
            ("Basic secret", 401),
            ("secret", 401),
            ("Bearer", 401),
            ("Bearer ", 401),
        ] {
            assert_eq!(ask(&open, token, true), expected, "{token}");
            assert_eq!(ask(&open, token, false), 200, "{token}");
        }
        let closed = access(Some("secret"), true);
        assert_eq!(
            (
                ask(&closed, "", false),
                ask(&closed, "Bearer secret", false)
            ),
            (401, 200)
        );
        assert_eq!(ask(&access(None, true), "", false), 403);
        let twice = [
            ("host", "localhost"),
            ("authorization", "Bearer secret"),
            ("authorization", "Bearer x"),
        ];
        assert_eq!(status(&open, &twice, true), 401);
    }
}

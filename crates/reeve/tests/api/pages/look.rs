//! Languages, the look that operators give pages, and how people find their way with a keyboard or a screen reader.

use std::fs;

use http::Method;
use reeve_app::Family;
use reeve_testkit::{Reply, attribute, on_both_engines};

use super::*;
use crate::common::filled;

/// Returns the tags of a page that begin so, without the sign that ends them.
fn tags<'a>(page: &'a Reply, begin: &str) -> Vec<&'a str> {
    page.html().split(begin).skip(1).filter_map(|rest| rest.split('>').next()).collect()
}

/// Returns the path of the stylesheet.
fn stylesheet(page: &Reply) -> String {
    let links = tags(page, "<link");
    let link = links.iter().find(|link| attribute(link, "rel").as_deref() == Some("stylesheet"));
    attribute(link.unwrap(), "href").unwrap()
}

on_both_engines! {
    async fn languages(server: Server) {
        server.create("alice", false).await;
        let mut browser = server.browser();
        for (accepted, query, language) in [
            ("", "", "en"),
            ("de-AT,de;q=0.9,en;q=0.8", "", "de"),
            ("fr", "", "en"),
            ("de", "?lang=en", "en"),
            ("en", "?lang=de", "de"),
            ("de", "?lang=xx", "de"),
        ] {
            accepted.clone_into(&mut browser.languages);
            let login = browser.get(&format!("{LOGIN}{query}")).await;
            let text = page(&login, 200);
            assert!(text.contains(&format!("<html lang=\"{language}\">")), "{accepted} {query}: {text}");
            let title = if language == "de" { "<h1>Anmelden</h1>" } else { "<h1>Sign in</h1>" };
            assert!(text.contains(title), "{accepted} {query}: {text}");
        }
        // A form and what follows keep the language that was chosen; so does an error.
        browser.languages.clear();
        let login = browser.get(&format!("{LOGIN}?lang=de&to=%2F_reeve%2Fpages%2Faccount%2Fprofile")).await;
        let english = tags(&login, "<a").into_iter().find(|link| attribute(link, "lang").as_deref() == Some("en"));
        let english = attribute(english.unwrap(), "href").unwrap();
        assert_eq!(english, "?lang=en&to=%2F%5Freeve%2Fpages%2Faccount%2Fprofile");
        let values = [("username", "alice"), ("password", "wrong")];
        let wrong = browser.submit(&login, LOGIN, &values).await;
        assert!(page(&wrong, 403).contains("Der Benutzername oder das Passwort ist falsch."));
        assert_eq!(browser.submit(&wrong, LOGIN, &[("password", "alice's password")]).await.status, 303);
        let profile = browser.get(&format!("{ACCOUNT}/profile?lang=de")).await;
        let saved = browser.submit(&profile, &format!("{ACCOUNT}/profile"), &[]).await;
        let saved = browser.follow(saved).await;
        assert!(page(&saved, 200).contains("Ihr Profil wurde gespeichert."));
        assert!(page(&browser.get("/_reeve/pages/none?lang=de").await, 404).contains("Diese Seite gibt es nicht"));
    }

    async fn assets_are_kept_for_ever(server: Server) {
        let mut browser = server.browser();
        let login = browser.get(LOGIN).await;
        let path = stylesheet(&login);
        let style = browser.get(&path).await;
        assert_eq!((style.status, style.header("content-type")), (200, "text/css; charset=utf-8"));
        assert_eq!(style.header("cache-control"), "public, max-age=31536000, immutable");
        assert!(style.html().contains("--accent: #1f5f8b") && style.html().contains("prefers-color-scheme: dark"));
        assert_eq!(style.header("content-length"), style.bytes.len().to_string());
        assert_eq!(style.header("set-cookie"), "");
    }

    async fn operators_give_pages_their_look(server: Server) {
        let mut server = server;
        let before = server.browser().get(LOGIN).await;
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("logout.html"), "{% extends \"card.html\" %}{% block main %}Bye{% endblock %}").unwrap();
        fs::write(folder.path().join("logo.svg"), "<svg/>").unwrap();
        let (templates, logo) = (folder.path().to_owned(), folder.path().join("logo.svg"));
        server.restart(move |config| {
            config.html.templates_folder = Some(templates);
            config.html.logo = Some(logo);
            "Bräu & Co".clone_into(&mut config.html.brand);
            config.html.accent = "#ffcc00".parse().unwrap();
        }).await;
        let mut browser = server.browser();
        let login = browser.get(LOGIN).await;
        let text = page(&login, 200);
        assert!(text.contains("Bräu &amp; Co") && !text.contains("Bye"), "{text}");
        let picture = attribute(tags(&login, "<img")[0], "src").unwrap();
        let picture = browser.get(&picture).await;
        assert_eq!((picture.header("content-type"), &*picture.bytes), ("image/svg+xml", &b"<svg/>"[..]));
        assert_ne!(stylesheet(&login), stylesheet(&before));
        let style = browser.get(&stylesheet(&login)).await;
        assert!(style.html().contains("--accent: #ffcc00") && style.html().contains("--on-accent: #000000"));
        server.create("alice", false).await;
        let mut browser = server.signed_in("alice").await;
        assert!(page(&browser.get("/_reeve/pages/logout").await, 200).contains("Bye"));
    }

    async fn a_template_that_fails_is_an_error_of_the_server(server: Server) {
        let mut server = server;
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("login.html"), "{{ nothing.at.all }}").unwrap();
        let templates = folder.path().to_owned();
        server.restart(move |config| config.html.templates_folder = Some(templates)).await;
        let reply = server.browser().get(LOGIN).await;
        assert!(page(&reply, 500).contains("Something went wrong") && !reply.html().contains("nothing"));
    }

    #[config(|config| {
        open(config);
        config.policy.registration_requires_token = true;
    })]
    async fn pages_can_be_used_without_seeing_them(server: Server) {
        server.create("alice", false).await;
        let (mut signed_in, mut stranger) = (server.signed_in("alice").await, server.browser());
        let mut pages = vec![(LOGIN.to_owned(), stranger.get(LOGIN).await)];
        pages.push((REGISTER.to_owned(), stranger.get(REGISTER).await));
        pages.push(("error".to_owned(), stranger.get("/_reeve/pages/none").await));
        for route in reeve::server::routes() {
            if route.family() == Family::Page && route.method == Method::GET {
                let path = filled(route.path());
                let reply = signed_in.get(&path).await;
                pages.push((path, reply));
            }
        }
        pages.retain(|(_, reply)| reply.header("content-type").starts_with("text/html"));
        assert!(pages.len() > 9, "{}", pages.len());
        for (path, reply) in pages {
            let text = reply.html();
            assert!(text.starts_with("<!doctype html>") && text.contains("<html lang=\"en\">"), "{path}");
            for once in ["<h1", "<title>", "<main id=\"main\"", "href=\"#main\"", "name=\"viewport\""] {
                assert_eq!(text.matches(once).count(), 1, "{path}: {once}");
            }
            let mut ids: Vec<String> = tags(&reply, "<").iter().filter_map(|tag| attribute(tag, "id")).collect();
            let labels: Vec<String> = tags(&reply, "<label").iter().filter_map(|tag| attribute(tag, "for")).collect();
            for input in tags(&reply, "<input") {
                let is_hidden = attribute(input, "type").as_deref() == Some("hidden") || input.contains("aria-hidden");
                let id = attribute(input, "id").unwrap_or_default();
                assert!(is_hidden || labels.contains(&id), "{path}: no label for {input}");
                for described in attribute(input, "aria-describedby").unwrap_or_default().split_whitespace() {
                    assert!(ids.iter().any(|id| id == described), "{path}: {described}");
                }
                if attribute(input, "type").as_deref() == Some("password") {
                    let autocomplete = attribute(input, "autocomplete").unwrap_or_default();
                    assert!(matches!(&*autocomplete, "current-password" | "new-password"), "{path}: {input}");
                }
            }
            for picture in tags(&reply, "<img") {
                assert!(attribute(picture, "alt").is_some(), "{path}: {picture}");
            }
            let count = ids.len();
            ids.sort_unstable();
            ids.dedup();
            assert_eq!(ids.len(), count, "{path}: an id occurs twice");
        }
    }
}

//! `preview_url`, with pages served by the tests.

use std::io::Cursor;

use http::Response;
use image::{DynamicImage, ImageFormat};
use reeve_testkit::{Asked, Bytes, Client, Config, Reply, Web, on_both_engines};
use serde_json::{Value, json};

use crate::admin::retention::run;
use crate::client::media::{download_path, upload};
use crate::rooms_kit::{at, enc};

const HOUR: i64 = 3_600_000;

fn on(config: &mut Config) {
    config.previews = Some(reeve_previews::Settings { max_picture_bytes: 100_000, ..Default::default() });
    config.allowed_ranges = vec!["127.0.0.1/32".parse().unwrap()];
}

async fn ask(client: &Client, url: &str) -> Reply {
    client.get(&format!("/_matrix/client/v1/media/preview_url?url={}", enc(url).replace(':', "%3A"))).await
}

fn picture() -> Vec<u8> {
    let mut out = Cursor::new(Vec::new());
    DynamicImage::new_rgb8(8, 5).write_to(&mut out, ImageFormat::Png).unwrap();
    out.into_inner()
}

/// A small web site.
fn site(asked: &Asked) -> Response<Bytes> {
    let path = asked.target.split('?').next().unwrap_or_default();
    let html = "text/html; charset=utf-8";
    let (status, kind, body): (u16, &str, Vec<u8>) = match path {
        "/page" => (
            200,
            html,
            "<html><head><meta property='og:title' content='A page'><meta property='og:site_name' content=Site>\
             <meta property='og:image' content='/missing.png'><meta property='og:image' content='picture.png'>\
             <meta property='og:image:width' content=99999><meta name=description content='About &auml;'></head>"
                .into(),
        ),
        "/picture.png" => (200, "image/png", picture()),
        "/latin" => (200, "text/html; charset=iso-8859-1", b"<title>\xe4\xf6\xfc</title>".to_vec()),
        "/pretends" => (200, html, "<title>t</title><meta property='og:image' content='/no-picture.png'>".into()),
        "/no-picture.png" => (200, "image/png", b"<svg onload='alert(1)'>".to_vec()),
        "/huge-picture" => (200, "image/png", vec![0; 200_000]),
        "/huge" => (200, html, vec![b' '; 5_000_000]),
        "/file.pdf" => (200, "application/pdf", b"%PDF".to_vec()),
        "/moved" => return to("/page"),
        "/loop" => return to("/loop"),
        "/inside" => return to("http://127.0.0.2:1/"),
        "/file" => return to("file:///etc/passwd"),
        _ => (404, html, b"<title>not found</title>".to_vec()),
    };
    Response::builder().status(status).header("content-type", kind).body(body.into()).unwrap()
}

fn to(location: &str) -> Response<Bytes> {
    Response::builder().status(302).header("location", location).body(Bytes::new()).unwrap()
}

on_both_engines! {
    #[config(on)]
    async fn what_a_page_says_of_itself(server: Server) {
        let web = Web::start(site).await;
        let (alice, bob, admin) = (server.user("alice").await, server.user("bob").await, server.admin().await);
        let url = web.url("/page");
        let reply = ask(&alice, &format!("{url}#section")).await;
        let uri = at(&reply.body, "/og:image").to_owned();
        assert_eq!(reply, (200, json!({
            "og:title": "A page", "og:site_name": "Site", "og:description": "About ä",
            "og:image": uri, "og:image:type": "image/png", "og:image:width": 8, "og:image:height": 5,
            "matrix:image:size": picture().len(),
        })));
        let asked = web.asked().await;
        assert_eq!((&*asked.target, &asked.headers["accept-language"]), ("/page", &"en".parse().unwrap()));
        assert!(asked.headers["user-agent"].to_str().unwrap().starts_with("Reeve/"));
        assert_eq!((web.asked().await.target, web.asked().await.target), ("/missing.png".into(), "/picture.png".into()));
        // Everybody can download the picture, which belongs to who asked first.
        let media_id = uri.strip_prefix("mxc://test/").unwrap();
        let download = bob.get(&format!("/_matrix/client/v1/media/download/test/{media_id}")).await;
        assert_eq!((download.status, download.header("content-type")), (200, "image/png"));
        let uploads = admin.get("/_synapse/admin/v1/users/@alice:test/media").await.body;
        assert_eq!((&uploads["total"], &uploads["media"][0]["url_cache"]), (&json!(1), &json!(url)));
        // It is remembered for an hour, for all, at every path of the endpoint.
        for version in ["v3", "r0", "v1"] {
            let path = format!("/_matrix/media/{version}/preview_url?ts=1&url={}", enc(&url));
            assert_eq!(bob.get(&path).await, (200, reply.body.clone()));
        }
        assert_eq!(web.waiting().await, 0);
        server.clock.advance(HOUR);
        let again = futures_util::future::join_all((0..8).map(|_| ask(&bob, &url))).await;
        assert!(again.iter().all(|reply| reply.status == 200 && reply.body == again[0].body));
        assert_ne!(again[0].body["og:image"], json!(uri));
        assert_eq!(web.waiting().await, 3);
        // Pictures go a week after the last use; uploads stay.
        let text = upload(&alice, "text/plain", "text").await;
        server.app().media.flush().await.unwrap();
        server.clock.advance(7 * 24 * HOUR);
        assert_eq!(run(&server, &admin, "preview_media", json!({})).await["deleted"], 1);
        server.clock.advance(1);
        let counted = run(&server, &admin, "preview_media", json!({ "dry_run": true })).await;
        let done = run(&server, &admin, "preview_media", json!({})).await;
        assert_eq!((&counted["deleted"], &done["deleted"]), (&json!(1), &json!(1)));
        assert_eq!(bob.get(&download_path(&text)).await.status, 200);
        assert_eq!(bob.get(&format!("/_matrix/client/v1/media/download/test/{media_id}")).await.status, 404);
    }

    #[config(on)]
    async fn all_kinds_of_pages(server: Server) {
        let web = Web::start(site).await;
        let alice = server.user("alice").await;
        let title = |title: &str| json!({ "og:title": title });
        assert_eq!(ask(&alice, &web.url("/latin")).await, (200, title("äöü")));
        assert_eq!(ask(&alice, &web.url("/pretends")).await, (200, title("t")));
        assert_eq!(ask(&alice, &web.url("/moved")).await.body["og:title"], "A page");
        let shown = ask(&alice, &web.url("/picture.png")).await.body;
        let without_uri = (&shown["og:image:width"], &shown["og:image:height"], shown.get("og:title"));
        assert_eq!(without_uri, (&json!(8), &json!(5), None));
        for path in ["/file.pdf", "/nothing", "/loop", "/huge", "/huge-picture"] {
            let reply = ask(&alice, &web.url(path)).await;
            assert_eq!((reply.status, reply.text("errcode")), (502, "M_UNKNOWN"), "{path}: {}", reply.body);
        }
        // A failure is remembered for a minute.
        while web.waiting().await > 0 {
            web.asked().await;
        }
        ask(&alice, &web.url("/nothing")).await;
        assert_eq!(web.waiting().await, 0);
        server.clock.advance(60_000);
        ask(&alice, &web.url("/nothing")).await;
        assert_eq!(web.waiting().await, 1);
    }

    #[config(on)]
    async fn what_is_not_visited(server: Server) {
        let web = Web::start(site).await;
        let alice = server.user("alice").await;
        let port = web.url("").rsplit(':').next().unwrap().to_owned();
        let inside = (403, "M_FORBIDDEN");
        let code = |reply: &Reply| (reply.status, reply.text("errcode").to_owned());
        for url in [
            &*format!("http://127.0.0.2:{port}/page"), "http://10.0.0.1/", "http://[::1]/", "http://0x7f000002/",
            "http://169.254.169.254/latest/meta-data", &web.url("/inside"),
        ] {
            let reply = ask(&alice, url).await;
            assert_eq!(code(&reply), (inside.0, inside.1.to_owned()), "{url}");
        }
        assert_eq!(code(&ask(&alice, &web.url("/file")).await), (400, "M_INVALID_PARAM".into()));
        for url in ["ftp://example.org/", "file:///etc/passwd", "example.org", "http://user:password@example.org/"] {
            assert_eq!(code(&ask(&alice, url).await), (400, "M_INVALID_PARAM".into()), "{url}");
        }
        let nothing = alice.get("/_matrix/client/v1/media/preview_url").await;
        assert_eq!(nothing.refusal(), (400, "M_MISSING_PARAM", "Missing params: ['url']"));
    }

    async fn switched_off(server: Server) {
        let reply = ask(&server.user("alice").await, "https://example.org/").await;
        assert_eq!(reply.refusal(), (404, "M_UNRECOGNIZED", "Unrecognized request"));
    }

    #[config(|config| { on(config); config.rate_limits.enabled = true; config.rate_limits.url_previews.burst = 2; })]
    async fn not_too_many(server: Server) {
        let alice = server.user("alice").await;
        let statuses: Vec<Value> = {
            let mut statuses = Vec::new();
            for _ in 0..3 {
                statuses.push(json!(ask(&alice, "http://10.0.0.1/").await.status));
            }
            statuses
        };
        assert_eq!(json!(statuses), json!([403, 403, 429]));
    }
}

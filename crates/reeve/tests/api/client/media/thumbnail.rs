//! `GET /_matrix/client/v1/media/thumbnail/{serverName}/{mediaId}`.

use std::io::Cursor;

use http::Method;
use image::{DynamicImage, GenericImageView as _, ImageFormat, Rgb, RgbImage};
use reeve_testkit::{Config, Reply, on_both_engines, tokio};

use super::{download_path, objects, upload};

fn picture(width: u32, height: u32, format: ImageFormat) -> Vec<u8> {
    let shade = |at: u32| u8::try_from(at % 256).unwrap();
    let picture = RgbImage::from_fn(width, height, |x, y| Rgb([shade(x), shade(y), 7]));
    let mut bytes = Vec::new();
    DynamicImage::ImageRgb8(picture).write_to(&mut Cursor::new(&mut bytes), format).unwrap();
    bytes
}

fn path(media_id: &str, query: &str) -> String {
    format!("/_matrix/client/v1/media/thumbnail/test/{media_id}?{query}")
}

/// The content type and the width and height.
fn of(reply: &Reply) -> (&str, (u32, u32)) {
    assert_eq!(reply.status, 200, "{}", reply.body);
    (reply.header("content-type"), image::load_from_memory(&reply.bytes).unwrap().dimensions())
}

fn coarse(config: &mut Config) {
    config.media.max_picture_pixels = 9999;
}

on_both_engines! {
    async fn sizes(server: Server) {
        let alice = server.user("alice").await;
        let png = picture(400, 300, ImageFormat::Png);
        let media_id = upload(&alice, "application/octet-stream", png.clone()).await;
        let get = async |query: &str| alice.get(&path(&media_id, query)).await;
        let small = get("width=30&height=20&method=crop").await;
        assert_eq!(of(&small), ("image/png", (32, 32)));
        for (name, value) in [
            ("content-disposition", "inline; filename=\"thumbnail.png\""),
            ("cross-origin-resource-policy", "cross-origin"),
            ("x-content-type-options", "nosniff"),
            ("cache-control", "private, max-age=86400"),
            ("access-control-allow-origin", "*"),
        ] {
            assert_eq!(small.header(name), value, "{name}");
        }
        assert_eq!(small.header("content-length"), small.bytes.len().to_string());
        let etag = small.header("etag").to_owned();
        let known = alice.send(Method::GET, &path(&media_id, "width=32&height=32&method=crop"), &[("if-none-match", &etag)], "").await;
        assert_eq!((known.status, known.bytes.len()), (304, 0));
        assert_eq!(of(&get("width=96&height=96&method=crop").await), ("image/png", (96, 96)));
        assert_eq!(of(&get("width=1&height=1").await), ("image/png", (320, 240)));
        assert_eq!(of(&get("width=300&height=240&method=scale&animated=true").await), ("image/png", (320, 240)));
        // Larger than the picture: the picture.
        for query in ["width=640&height=480", "width=5000&height=1", "width=640&height=480&method=crop"] {
            assert!(get(query).await.bytes == png, "{query}");
        }
        // A repeated request is served from the store.
        assert_eq!(get("width=30&height=20&method=crop").await.bytes, small.bytes);
        assert_eq!(objects(&server).await, 5);
        let many = (0..20).map(|_| get("width=320&height=240&method=crop"));
        let all = futures_util::future::join_all(many).await;
        assert!(all.iter().all(|reply| of(reply) == ("image/png", (320, 240))));
        assert_eq!(objects(&server).await, 6, "made once, or kept once");
        let jpeg = upload(&alice, "image/jpeg", picture(400, 300, ImageFormat::Jpeg)).await;
        assert_eq!(of(&alice.get(&path(&jpeg, "width=320&height=240")).await), ("image/jpeg", (320, 240)));
    }

    async fn refusals(server: Server) {
        let alice = server.user("alice").await;
        let media_id = upload(&alice, "image/png", "not a picture").await;
        let cannot = (400, "M_UNKNOWN", "Cannot generate thumbnails for the requested content");
        assert_eq!(alice.get(&path(&media_id, "width=9&height=9")).await.refusal(), cannot);
        let whole = picture(400, 300, ImageFormat::Png);
        let half = upload(&alice, "image/png", &whole[..whole.len() / 2]).await;
        assert_eq!(alice.get(&path(&half, "width=9&height=9")).await.refusal(), cannot);
        let empty = upload(&alice, "image/png", "").await;
        assert_eq!(alice.get(&path(&empty, "width=9&height=9")).await.refusal(), cannot);
        for (query, errcode, error) in [
            ("height=9", "M_MISSING_PARAM", "Missing required integer query parameter width"),
            ("width=9", "M_MISSING_PARAM", "Missing required integer query parameter height"),
            ("width=x&height=9", "M_INVALID_PARAM", "Query parameter width must be an integer"),
            ("width=-9&height=9", "M_INVALID_PARAM", "Query parameter width must be a positive integer."),
            ("width=0&height=9", "M_INVALID_PARAM", "Query parameter width must be between 1 and 65535"),
            ("width=9&height=65536", "M_INVALID_PARAM", "Query parameter height must be between 1 and 65535"),
            ("width=9&height=9&method=cut", "M_INVALID_PARAM", "Query parameter 'method' must be one of ['crop', 'scale']"),
            ("width=9&height=9&animated=1", "M_INVALID_PARAM", "Boolean query parameter 'animated' must be one of ['true', 'false']"),
        ] {
            assert_eq!(alice.get(&path(&media_id, query)).await.refusal(), (400, errcode, error), "{query}");
        }
        assert_eq!(alice.get(&download_path(&media_id)).await.status, 200);
    }

    #[config(coarse)]
    async fn too_many_pixels(server: Server) {
        let alice = server.user("alice").await;
        let media_id = upload(&alice, "image/png", picture(100, 100, ImageFormat::Png)).await;
        let path = path(&media_id, "width=9&height=9");
        let refused = alice.get(&path).await;
        assert_eq!(refused.refusal(), (413, "M_TOO_LARGE", "Content is too large to thumbnail"));
        let others = (0..3).map(|_| alice.get(&path));
        let all = tokio::time::timeout(std::time::Duration::from_secs(30), futures_util::future::join_all(others));
        assert!(all.await.unwrap().iter().all(|reply| reply.status == 413));
    }
}

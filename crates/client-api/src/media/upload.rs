//! Uploads.

use http::header;
use reeve_app::{Answer, Call, MatrixError, reply};
use reeve_db::ReadTx;
use reeve_media::{Error, Upload, deeds, kind, name};
use reeve_store::media::NewMedia;
use serde_json::json;

pub(super) async fn upload(mut call: Call) -> Answer {
    let new = new_media(&call, deeds::new_media_id())?;
    let uri = uri(&call, &new.media_id);
    let upload = receive(&mut call, |_| Ok(())).await?;
    let new = judged(new, &upload);
    call.app.media.add(upload, new).await?;
    reply::ok(&json!({ "content_uri": uri }))
}

pub(super) async fn create(call: Call) -> Answer {
    let (user_num, ctx, library) = (call.user()?.num, call.ctx(), call.app.media.clone());
    let created = call.write(move |tx| deeds::create(tx, &ctx, library.settings(), user_num)).await?;
    let content_uri = uri(&call, &created.media_id);
    reply::ok(&json!({ "content_uri": content_uri, "unused_expires_at": created.expires_ts }))
}

pub(super) async fn upload_to(mut call: Call) -> Answer {
    let media_id = call.param("mediaId");
    let new = new_media(&call, media_id.clone())?;
    let (user_num, now) = (new.user_num, call.now);
    let here = call.params.get("serverName") == &*call.app.server_name;
    let upload = receive(&mut call, move |tx| {
        if here { deeds::check_pending(tx, &media_id, user_num, now) } else { Err(Error::UnknownId) }
    })
    .await?;
    let new = NewMedia { created_ts: call.app.clock.now(), ..judged(new, &upload) };
    call.app.media.add_pending(upload, new, now).await?;
    reply::empty()
}

fn uri(call: &Call, media_id: &str) -> String {
    format!("mxc://{}/{media_id}", call.app.server_name)
}

/// Returns the description of the file in a request.
fn new_media(call: &Call, media_id: String) -> Result<NewMedia, MatrixError> {
    let said = call.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    Ok(NewMedia {
        media_id,
        user_num: call.user()?.num,
        media_type: name::media_type(said),
        upload_name: call.query.lossy("filename").and_then(|name| name::clean(&name)),
        created_ts: call.now,
        ..NewMedia::default()
    })
}

/// Returns the description, completed by what the bytes show.
fn judged(new: NewMedia, upload: &Upload) -> NewMedia {
    let (media_type, disguised) = kind::judge(&new.media_type, upload.head());
    NewMedia { media_type, disguised, ..new }
}

/// Writes the body to the store, if the account has room for it and `check` allows it.
async fn receive(
    call: &mut Call,
    check: impl Fn(&ReadTx<'_>) -> Result<(), Error> + Send + 'static,
) -> Result<Upload, MatrixError> {
    let said = call.headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok());
    let length = said.and_then(|length| length.parse::<i64>().ok()).unwrap_or_default();
    let (user_num, library) = (call.user()?.num, call.app.media.clone());
    let most = i64::try_from(library.settings().max_upload_bytes).unwrap_or(i64::MAX);
    let allowed = call.read(move |tx| {
        check(tx)?;
        if length > most {
            Err(Error::TooLarge)
        } else {
            deeds::check_room(tx, library.settings(), user_num, length)
        }
    });
    let refusal = allowed.await.err();
    let mut incoming = call.incoming();
    if let Some(refusal) = refusal {
        incoming.discard().await;
        return Err(refusal);
    }
    let mut upload = call.app.media.begin(user_num).await?;
    while let Some(piece) = incoming.next().await? {
        upload.write(&piece).await?;
    }
    Ok(upload)
}

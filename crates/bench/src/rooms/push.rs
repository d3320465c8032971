//! The cost of deciding which members a message notifies.

use serde_json::json;

use super::seed::{CROWD, Kind, Person, TwoRooms};
use crate::Fallible;
use crate::http::Connection;
use crate::report::{Report, Times, below};
use crate::server::Server;

/// Number of messages into each room, after unmeasured ones.
const MESSAGES: usize = 300;
const BEFORE: usize = 20;

/// Sends into both rooms in turn; returns the median durations in milliseconds.
async fn send(server: &Server, rooms: &TwoRooms, name: &str) -> Fallible<(f64, f64)> {
    let mut connection = Connection::open(server.address, &Person(Kind::Member, 0).token()).await?;
    let (mut small, mut large) = (Vec::new(), Vec::new());
    for number in 0..BEFORE + MESSAGES {
        for (room, took) in [(&rooms.small, &mut small), (&rooms.large, &mut large)] {
            let path = format!("/_matrix/client/v3/rooms/{room}/send/m.room.message/{name}{number}");
            let body = json!({ "msgtype": "m.text", "body": format!("Message {number}"), "m.mentions": {} });
            let reply = connection.send("PUT", &path, &body.to_string()).await?;
            reply.json()?;
            if number >= BEFORE {
                took.push(reply.took);
            }
        }
    }
    Ok((Times::of(small).median, Times::of(large).median))
}

/// Compares sending into the large room with sending into the small one, while its members have the default
/// rules, and when each has rules of their own.
pub(super) async fn push(server: &Server, rooms: &TwoRooms, report: &mut Report) -> Fallible<()> {
    row(report, "default push rules", send(server, rooms, "default").await?);
    for number in 0..CROWD {
        let mut connection = Connection::open(server.address, &Person(Kind::Member, number).token()).await?;
        let path = "/_matrix/client/v3/pushrules/global/override/.m.rule.suppress_notices/enabled";
        connection.send("PUT", path, &json!({ "enabled": false }).to_string()).await?.json()?;
    }
    row(report, "push rules of their own", send(server, rooms, "own").await?);
    // Rules that mute the room: an interval for each member.
    for number in 0..CROWD {
        let mut connection = Connection::open(server.address, &Person(Kind::Member, number).token()).await?;
        let path = "/_matrix/client/v3/pushrules/global/underride/.m.rule.message/enabled";
        connection.send("PUT", path, &json!({ "enabled": false }).to_string()).await?.json()?;
    }
    row(report, "push rules that silence it", send(server, rooms, "silent").await?);
    Ok(())
}

fn row(report: &mut Report, what: &str, (small, large): (f64, f64)) {
    let more = large - small;
    report.row(
        format!("Sending into a room of {CROWD} with {what}, against one of 2"),
        format!("{more:.1} ms more ({small:.1} and {large:.1} ms, medians)"),
        "< 10 ms more",
        below(more, 10.0),
    );
}

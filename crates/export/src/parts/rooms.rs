//! The rooms in which the person is or was.

use reeve_db::ReadTx;
use reeve_model::{Membership, RoomNum};
use reeve_rooms::types;
use reeve_store::memberships::Member;
use reeve_store::{ephemeral, events, memberships as stored, rooms};

use super::{Page, Source};
use crate::error::Failure;
use crate::format::{MembershipChange, Receipt, RoomMembership};

/// The number of rooms in a page, each of which is read by itself.
const ROOMS: i64 = 20;

/// The room after which a page begins.
#[derive(Clone, Default)]
pub(super) struct Beyond(RoomNum);

/// Returns some of the memberships.
pub(super) fn memberships(
    source: &Source,
    tx: &ReadTx<'_>,
    Beyond(beyond): &Beyond,
) -> Result<Page<Beyond>, Failure> {
    let members = stored::some_of_user(tx, &source.export.user_id, *beyond, ROOMS)?;
    let mut page = Page::new(members.last().map(|last| Beyond(last.room_num)));
    for member in members {
        if let Some(membership) = membership(tx, member)? {
            page.add(&membership)?;
        }
    }
    Ok(page)
}

fn membership(tx: &ReadTx<'_>, member: Member) -> Result<Option<RoomMembership>, Failure> {
    let Some(room) = rooms::by_num(tx, member.room_num)? else { return Ok(None) };
    let history = events::history(tx, room.num, types::MEMBER, &member.user_id)?;
    let changes = history.into_iter().filter_map(|event| {
        Some(MembershipChange {
            membership: event.membership?,
            event_id: event.event_id,
            ts: event.ts,
            sender: event.sender,
        })
    });
    let receipts = ephemeral::receipts_of_user(tx, room.num, &member.user_id)?;
    let receipts = receipts.into_iter().map(|receipt| Receipt {
        receipt_type: receipt.receipt_type,
        thread_id: Some(receipt.thread_id).filter(|thread| !thread.is_empty()),
        event_id: receipt.event_id,
        ts: receipt.ts,
    });
    let knows_name = matches!(member.membership, Membership::Join | Membership::Invite);
    Ok(Some(RoomMembership {
        room_id: room.room_id,
        membership: member.membership,
        forgotten: member.forgotten,
        name: room.name.filter(|_| knows_name),
        changes: changes.collect(),
        receipts: receipts.collect(),
    }))
}

// Two people talk: local echoes, reactions, corrections, redactions, typing, receipts, presence, and paging back.

import assert from "node:assert/strict";

import { Person, story, until } from "./lib.mjs";

story(async () => {
    const [alice, bob] = await Promise.all([Person.start("alice"), Person.start("bob")]);
    const { room_id: roomId } = await alice.client.createRoom({
        name: "Plans",
        preset: "private_chat",
        invite: [bob.id],
    });

    const invited = await until("the invitation comes", () => bob.room(roomId));
    assert.deepEqual([invited.getMyMembership(), invited.name], ["invite", "Plans"]);
    assert.equal(invited.getMember(bob.id).events.member.getSender(), alice.id);
    await bob.join(roomId);
    await until("both are in the room", () => alice.room(roomId)?.getJoinedMemberCount() === 2);

    // Sync brings the event before the answer to the request tells its id. What makes it the same as the local echo
    // is its transaction id, which nobody else gets to know.
    const release = alice.hold("/send/");
    const sending = alice.client.sendTextMessage(roomId, "Where to?");
    const local = await until("the local echo is there", () => lastMessage(alice, roomId));
    assert.deepEqual([local.status, local.getId().startsWith("~")], ["sending", true]);
    const question = (await until("bob sees it", () => lastMessage(bob, roomId))).getId();
    await until("the local echo is replaced", () => local.getId() === question);
    assert.deepEqual([local.status, local.getUnsigned().transaction_id], [null, local.getTxnId()]);
    assert.deepEqual(alice.lines(roomId), ["Where to?"]);
    release();
    assert.equal((await sending).event_id, question);
    assert.deepEqual(alice.lines(roomId), ["Where to?"]);
    assert.equal(bob.received(roomId, question).unsigned?.transaction_id, undefined);

    const answer = await bob.say(roomId, "To the see");
    const reply = await alice.sees(roomId, answer);
    assert.deepEqual([reply.getSender(), reply.sender.name], [bob.id, "Bob"]);

    // Reactions and corrections.
    const { event_id: reaction } = await alice.client.sendEvent(roomId, "m.reaction", {
        "m.relates_to": { rel_type: "m.annotation", event_id: answer, key: "🏖️" },
    });
    await bob.sees(roomId, reaction);
    assert.deepEqual(reactions(bob, roomId, answer), [["🏖️", [alice.id]]]);
    const correction = await bob.say(roomId, "* To the sea", null, {
        "m.new_content": { msgtype: "m.text", body: "To the sea" },
        "m.relates_to": { rel_type: "m.replace", event_id: answer },
    });
    await until("the correction comes", () => reply.replacingEventId() === correction);
    assert.equal(reply.getContent().body, "To the sea");

    // What is taken back.
    const slip = await alice.say(roomId, "My password is 1234");
    const seen = await bob.sees(roomId, slip);
    await alice.client.redactEvent(roomId, slip, undefined, { reason: "a slip" });
    await until("it is gone", () => seen.isRedacted());
    assert.deepEqual([seen.getContent(), seen.getUnsigned().redacted_because.content.reason], [{}, "a slip"]);

    await alice.client.sendTyping(roomId, true, 30_000);
    await until("alice types", () => bob.room(roomId).getMember(alice.id).typing);
    await alice.client.sendTyping(roomId, false, 0);
    await until("alice stops", () => !bob.room(roomId).getMember(alice.id).typing);

    // What is unread is counted until a receipt says that it was read; others see the receipt.
    const room = bob.room(roomId);
    await bob.client.sendReadReceipt(seen);
    await until("all is read", () => room.getUnreadNotificationCount() === 0);
    const lines = [];
    for (const n of [1, 2, 3]) lines.push(await alice.say(roomId, `Line ${n}`));
    await until("all are counted", () => room.getUnreadNotificationCount() === 3);
    await bob.client.sendReadReceipt(await bob.sees(roomId, lines[1]));
    await until("one is left", () => room.getUnreadNotificationCount() === 1);
    await until("the receipt comes", () => alice.room(roomId).hasUserReadEvent(bob.id, lines[1]));
    assert.equal(alice.room(roomId).getReadReceiptForUserId(bob.id, true).data.thread_id, "main");
    assert.equal(alice.room(roomId).hasUserReadEvent(bob.id, lines[2]), false);

    await until("bob is here", () => alice.client.getUser(bob.id)?.presence === "online");
    await bob.client.setSyncPresence("unavailable");
    await bob.client.setPresence({ presence: "unavailable", status_msg: "at lunch" });
    await until("bob is away", () => alice.client.getUser(bob.id).presence === "unavailable");
    assert.equal(alice.client.getUser(bob.id).presenceStatusMsg, "at lunch");

    // A new device knows the last few events, and pages back to the beginning.
    const said = [];
    for (let n = 0; n < 20; n++) said.push(await alice.say(roomId, `More ${n}`));
    const phone = await Person.start("bob", { initialSyncLimit: 5 });
    assert.deepEqual(phone.lines(roomId), ["More 15", "More 16", "More 17", "More 18", "More 19"]);
    const events = await phone.history(roomId);
    assert.equal(events[0].getType(), "m.room.create");
    assert.equal(new Set(events.map((event) => event.getId())).size, events.length);
    // Going back, reactions and corrections come before what they are about; the SDK keeps them apart then.
    const order = [question, answer, slip, ...lines, ...said];
    const known = events.map((event) => event.getId()).filter((eventId) => order.includes(eventId));
    assert.deepEqual(known, order);
    assert.equal((await phone.sees(roomId, answer)).getContent().body, "To the sea");
    assert.deepEqual(reactions(phone, roomId, answer), [["🏖️", [alice.id]]]);
    assert.equal((await phone.sees(roomId, slip)).isRedacted(), true);
    assert.equal(phone.room(roomId).getEventReadUpTo(bob.id, true), lines[1]);
});

function lastMessage(person, roomId) {
    return person.room(roomId).getLiveTimeline().getEvents().findLast((event) => event.getType() === "m.room.message");
}

/** Who reacted to an event with what. */
function reactions(person, roomId, eventId) {
    const found = person.room(roomId).relations.getChildEventsForEvent(eventId, "m.annotation", "m.reaction");
    return found
        .getSortedAnnotationsByKey()
        .map(([key, events]) => [key, [...events].map((event) => event.getSender())]);
}

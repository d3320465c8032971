// Threads: their events apart from the room's, their own unread counts and receipts, and finding them again.

import assert from "node:assert/strict";

import { Person, story, until } from "./lib.mjs";

story(async () => {
    const [alice, bob] = await Promise.all([Person.start("alice"), Person.start("bob")]);
    const { room_id: roomId } = await alice.client.createRoom({ preset: "private_chat", invite: [bob.id] });
    await until("the invitation comes", () => bob.room(roomId));
    await bob.join(roomId);

    const old = await alice.say(roomId, "An old question");
    await open(bob, roomId, old);
    await bob.say(roomId, "An old answer", old);
    for (let n = 0; n < 8; n++) await alice.say(roomId, `Line ${n}`);
    const root = await alice.say(roomId, "Who comes along?");
    const opened = await open(bob, roomId, root);

    // Replies in a thread do not show in the room, and are counted apart.
    const replies = [await bob.say(roomId, "I do", root)];
    const thread = await until("the thread is there", () => alice.room(roomId).getThread(root));
    await until("the reply is counted", () => counts(alice, roomId, root) === "room 0, thread 1 (0)");
    replies.push(await bob.say(roomId, "And you?", root, { "m.mentions": { user_ids: [alice.id] } }));
    await until("the mention is counted", () => counts(alice, roomId, root) === "room 0, thread 2 (1)");
    const aside = await bob.say(roomId, "By the way");
    await until("the line is counted", () => counts(alice, roomId, root) === "room 1, thread 2 (1)");
    await until("the thread is whole", () => thread.length === 2 && thread.replyToEvent?.getId() === replies[1]);
    assert.deepEqual(alice.lines(roomId).slice(-2), ["Who comes along?", "By the way"]);

    // A receipt for one thread leaves all others as they were, in every client.
    await alice.client.sendReadReceipt(await alice.sees(roomId, replies[1]));
    await until("the thread is read", () => counts(alice, roomId, root) === "room 1, thread 0 (0)");
    const receipt = await until("the receipt comes", () => opened.getReadReceiptForUserId(alice.id, true));
    assert.deepEqual([receipt.eventId, receipt.data.thread_id], [replies[1], root]);
    const tablet = await Person.start("alice");
    assert.equal(counts(tablet, roomId, root), "room 1, thread 0 (0)");
    assert.equal(tablet.room(roomId).getThreadUnreadNotificationCount(old), 1);

    replies.push(await bob.say(roomId, "Well?", root));
    for (const device of [alice, tablet]) {
        await until("the reply is counted", () => counts(device, roomId, root) === "room 1, thread 1 (0)");
    }
    await alice.client.sendReadReceipt(await alice.sees(roomId, aside));
    for (const device of [alice, tablet]) {
        await until("the room is read", () => counts(device, roomId, root) === "room 0, thread 1 (0)");
    }
    await until("the receipt comes", () => bob.room(roomId).hasUserReadEvent(alice.id, aside));

    // One without a thread is for all.
    await alice.client.sendReadReceipt(await alice.sees(roomId, replies[2]), "m.read", true);
    for (const device of [alice, tablet]) {
        await until("all is read", () => counts(device, roomId, root) === "room 0, thread 0 (0)");
    }
    assert.equal(tablet.room(roomId).getThreadUnreadNotificationCount(old), 0);

    // What one says oneself comes back once, also in a thread.
    await until("the thread is loaded", () => thread.initialEventsFetched && thread.length === 3);
    replies.push(await alice.say(roomId, "I do, too", root));
    await until("bob sees it", () => opened.replyToEvent?.getId() === replies[3]);
    const own = await until("alice sees it", () => thread.findEventById(replies[3]));
    const received = await until("it came", () => alice.received(roomId, replies[3]));
    assert.equal(received.unsigned.transaction_id, own.getTxnId());
    assert.deepEqual(thread.events.map((event) => event.getId()), [root, ...replies]);

    // A new device learns of the newest thread from its root, and of the old one from the list of threads.
    const phone = await Person.start("bob", { initialSyncLimit: 10 });
    const room = phone.room(roomId);
    const bundled = (await phone.sees(roomId, root)).getServerAggregatedRelation("m.thread");
    assert.deepEqual([bundled.count, bundled.current_user_participated], [4, true]);
    assert.equal(bundled.latest_event.event_id, replies[3]);
    assert.equal(room.findEventById(old), undefined);
    await room.createThreadsTimelineSets();
    await room.fetchRoomThreads();
    const listed = room.threadsTimelineSets[0].getLiveTimeline().getEvents();
    assert.deepEqual(listed.map((event) => event.getId()), [old, root]);
    const found = room.getThread(root);
    await until("the thread is loaded", () => found.initialEventsFetched && found.length === 4);
    while (await phone.client.paginateEventTimeline(found.liveTimeline, { backwards: true, limit: 2 }));
    assert.deepEqual(found.events.map((event) => event.getId()), [root, ...replies]);
    const earlier = await phone.history(roomId);
    assert.equal(earlier.filter((event) => replies.includes(event.getId())).length, 0);
});

/** Opens a thread, as an app does to write in it; the SDK forgets what it sent to one that is not open. */
async function open(person, roomId, root) {
    const event = await person.sees(roomId, root);
    return person.room(roomId).getThread(root) ?? person.room(roomId).createThread(root, event, [], true);
}

/** What is unread: in the room, and in the thread, with highlights in brackets. */
function counts(person, roomId, threadId) {
    const room = person.room(roomId);
    const inThread = ["total", "highlight"].map((type) => room.getThreadUnreadNotificationCount(threadId, type));
    return `room ${room.getRoomUnreadNotificationCount("total")}, thread ${inThread[0]} (${inThread[1]})`;
}

// Lazy loading: a client knows how many are in a room, and of whom it needs to know, until it asks for all.

import assert from "node:assert/strict";

import { Person, story, until } from "./lib.mjs";

story(async () => {
    const [host, carol, dave] = await Promise.all(["alice", "carol", "dave"].map((word) => Person.login(word)));
    const reader = await Person.login("bob");
    const guests = [carol, dave, reader];
    const everyone = [host, ...guests].map((person) => person.id).sort();

    // Two rooms, one with a name and one that is called after those who are in it.
    const rooms = [];
    for (const name of ["Town hall", undefined]) {
        const { room_id: roomId } = await host.client.createRoom({ name, preset: "public_chat" });
        for (const guest of guests) await guest.client.joinRoom(roomId);
        for (let n = 0; n < 8; n++) await host.say(roomId, `Line ${n}`);
        rooms.push(roomId);
    }
    const [hall, nameless] = rooms;

    await reader.sync({ initialSyncLimit: 5 });
    const room = reader.room(hall);
    assert.equal(room.getLiveTimeline().getEvents().length, 5);
    assert.equal(room.getJoinedMemberCount(), 4);
    assert.deepEqual(members(room), [reader.id, host.id].sort());

    // Nobody could give the room its name without those that it is called after.
    assert.deepEqual(members(reader.room(nameless)), everyone);
    assert.equal(reader.room(nameless).name, "Alice and 2 others");
    assert.equal(reader.room(nameless).getJoinedMemberCount(), 4);

    // Who speaks is made known with what is said.
    const line = await carol.say(hall, "Can you hear me?");
    assert.equal((await reader.sees(hall, line)).sender.name, "Carol");
    assert.deepEqual(members(room), [reader.id, host.id, carol.id].sort());

    // Someone who did not come along in a page of the past is made known with that page.
    await reader.client.scrollback(room, 50);
    await until("dave is known", () => room.getMember(dave.id));

    // All of them, when asked for.
    const fresh = await Person.start("bob", { initialSyncLimit: 5 });
    assert.equal(fresh.room(hall).getMember(dave.id), null);
    await fresh.room(hall).loadMembersIfNeeded();
    assert.deepEqual(members(fresh.room(hall)), everyone);

    await dave.client.leave(hall);
    for (const person of [reader, fresh]) {
        await until("dave is gone", () => person.room(hall).getJoinedMemberCount() === 3);
        assert.equal(person.room(hall).getMember(dave.id).membership, "leave");
    }
});

function members(room) {
    return room
        .getMembersWithMembership("join")
        .map((member) => member.userId)
        .sort();
}

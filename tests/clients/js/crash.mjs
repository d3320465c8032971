// The server is killed while one person talks and the other is away; nothing is lost, and nothing comes twice.

import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";

import { IDBFactory } from "fake-indexeddb";
import { IndexedDBStore } from "matrix-js-sdk";

import { Person, restartServer, story, until } from "./lib.mjs";

story(async () => {
    const indexedDB = new IDBFactory();
    const store = () => new IndexedDBStore({ indexedDB, dbName: "bob" });

    const alice = await Person.start("alice");
    const bob = await Person.login("bob", { store: store() });
    await bob.client.store.startup();
    await bob.sync();
    const { room_id: roomId } = await alice.client.createRoom({
        name: "Shaky",
        preset: "private_chat",
        invite: [bob.id],
    });
    await until("the invitation comes", () => bob.room(roomId));
    await bob.join(roomId);
    const before = await alice.say(roomId, "Good night");
    await bob.client.sendReadReceipt(await bob.sees(roomId, before));
    await until("the receipt comes", () => alice.room(roomId).hasUserReadEvent(bob.id, before));

    // Bob closes the window. The SDK keeps what it knows, and up to where.
    bob.client.stopClient();
    await bob.client.store.save(true);
    const since = (await bob.client.store.getSavedSync()).nextBatch;

    const words = Array.from({ length: 30 }, (_, n) => `Word ${n}`);
    let sent = 0;
    const talking = (async () => {
        for (const word of words) {
            await insist(alice, roomId, word);
            sent += 1;
            await sleep(20);
        }
    })();
    await until("some words are said", () => sent >= 8);
    await restartServer();
    // As browsers do when the network is back.
    alice.client.retryImmediately();
    await talking;
    await alice.syncing();

    // Bob opens the window again: what was kept, and then what he missed.
    const again = new Person(bob.session, { store: store() });
    await again.client.store.startup();
    await again.sync();
    assert.equal(again.syncs[0].parameters.get("since"), since);
    assert.equal(again.room(roomId).getUnreadNotificationCount(), words.length);

    const reply = await again.say(roomId, "Good morning");
    for (const person of [alice, again]) {
        await person.sees(roomId, reply);
        const events = await person.history(roomId);
        assert.equal(events[0].getType(), "m.room.create");
        assert.equal(new Set(events.map((event) => event.getId())).size, events.length);
        assert.deepEqual(person.lines(roomId), ["Good night", ...words, "Good morning"]);
    }
    await again.client.sendTyping(roomId, true, 30_000);
    await until("bob types", () => alice.room(roomId).getMember(bob.id).typing);
});

/** Says something, and says it again as the same message while the server cannot be reached. */
async function insist(person, roomId, body) {
    try {
        return await person.say(roomId, body);
    } catch (error) {
        if (error.name !== "ConnectionError") throw error;
    }
    const room = person.room(roomId);
    const isIt = (event) => event.status === "not_sent" && event.getContent().body === body;
    const event = await until("it is not sent", () => room.getLiveTimeline().getEvents().find(isIt));
    for (;;) {
        try {
            return await person.client.resendEvent(event, room);
        } catch (error) {
            if (error.name !== "ConnectionError") throw error;
            await sleep(200);
        }
    }
}

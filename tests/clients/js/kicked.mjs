// Memberships that change at once, time and again: whoever is thrown out right after coming in knows it on all devices,
// and so do the others in the room. The SDK takes the state of a room from beside its timeline (`state_after`).

import { Person, story, until } from "./lib.mjs";

const ROUNDS = 20;

story(async () => {
    const [alice, bob, phone] = await Promise.all(["alice", "bob", "bob"].map((word) => Person.start(word)));
    const isEverywhere = (roomId, membership) =>
        until(`bob's membership is ${membership} on both devices`, () =>
            [bob, phone].every((person) => person.room(roomId)?.getMyMembership() === membership),
        );
    const isSeen = (roomId, membership) =>
        until(`alice sees bob's membership as ${membership}`, () =>
            alice.room(roomId)?.getMember(bob.id)?.membership === membership,
        );
    for (let round = 0; round < ROUNDS; round++) {
        const { room_id: roomId } = await alice.client.createRoom({ name: `Round ${round}`, preset: "public_chat" });
        await bob.client.joinRoom(roomId);
        await alice.client.kick(roomId, bob.id);
        await isEverywhere(roomId, "leave");
        await isSeen(roomId, "leave");

        // Seen in between, so that the leaving comes alone.
        await phone.client.joinRoom(roomId);
        await isEverywhere(roomId, "join");
        await isSeen(roomId, "join");
        await alice.client.kick(roomId, bob.id);
        await isEverywhere(roomId, "leave");
        await isSeen(roomId, "leave");

        // An invitation that is declined on one device is gone on the other.
        await alice.client.invite(roomId, bob.id);
        await isEverywhere(roomId, "invite");
        await bob.client.leave(roomId);
        await isEverywhere(roomId, "leave");
    }
});

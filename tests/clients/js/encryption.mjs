// Two people talk in an encrypted room, verify each other by comparing emojis, as well as their own devices, back their
// keys up, and read everything on a new device.

import assert from "node:assert/strict";

import { VerificationPhase, VerifierEvent } from "matrix-js-sdk/lib/crypto-api/index.js";

import { Person, story, until } from "./lib.mjs";

story(async () => {
    const vault = new Map();
    const [alice, bob] = await Promise.all([start("alice", vault), start("bob", new Map())]);

    // Keys with which devices are signed, and a backup, which only the recovery key opens.
    await alice.crypto.bootstrapCrossSigning({ authUploadDeviceSigningKeys: authenticating(alice) });
    const recoveryKey = await alice.crypto.createRecoveryKeyFromPassphrase();
    await alice.crypto.bootstrapSecretStorage({
        createSecretStorageKey: async () => recoveryKey,
        setupNewKeyBackup: true,
    });
    await bob.crypto.bootstrapCrossSigning({ authUploadDeviceSigningKeys: authenticating(bob) });
    assert.equal(await alice.crypto.isCrossSigningReady(), true);
    assert.equal(await alice.crypto.isSecretStorageReady(), true);

    const { room_id: roomId } = await alice.client.createRoom({
        preset: "private_chat",
        invite: [bob.id],
        initial_state: [
            { type: "m.room.encryption", state_key: "", content: { algorithm: "m.megolm.v1.aes-sha2" } },
        ],
    });
    await until("the invitation comes", () => bob.room(roomId));
    await bob.join(roomId);
    await until("both are in the room", () => alice.room(roomId)?.getJoinedMemberCount() === 2);
    const question = await alice.say(roomId, "Where to?");
    assert.equal(await reads(bob, roomId, question), "Where to?");
    assert.equal(bob.received(roomId, question).type, "m.room.encrypted");
    const answer = await bob.say(roomId, "To the sea");
    assert.equal(await reads(alice, roomId, answer), "To the sea");

    // They compare emojis, and sign each other's keys.
    await verify(alice, bob, await alice.crypto.requestVerificationDM(bob.id, roomId));
    for (const [one, other] of [[alice, bob], [bob, alice]]) {
        const trusts = async () => (await one.crypto.getUserVerificationStatus(other.id)).isCrossSigningVerified();
        await eventually(`${one.id} trusts ${other.id}`, trusts);
    }

    // The SDK remembers what it knew of the backup; the server knows better.
    const backup = () => alice.client.http.authedRequest("GET", "/room_keys/version");
    const backedUp = (count) =>
        eventually(`${count} keys are backed up`, async () => (await backup()).count === count);
    await backedUp(2);

    // A second device is verified by the first: the secrets come with it, and so do the keys from the backup.
    const phone = await start("alice", new Map());
    await verify(phone, alice, await phone.crypto.requestOwnUserVerification());
    const isSigned = async () => {
        const status = await bob.crypto.getDeviceVerificationStatus(alice.id, phone.session.device_id);
        return status?.signedByOwner && status.isVerified();
    };
    await eventually("bob trusts the new device", isSigned);
    await eventually("the secrets come", async () => (await phone.crypto.getSessionBackupPrivateKey()) !== null);
    await phone.crypto.restoreKeyBackup();
    assert.equal(await reads(phone, roomId, answer), "To the sea");
    const hello = await phone.say(roomId, "Hello from the road");
    assert.equal(await reads(bob, roomId, hello), "Hello from the road");
    assert.equal(await reads(alice, roomId, hello), "Hello from the road");

    // All devices are lost but the recovery key.
    await backedUp(3);
    await alice.client.logout(true);
    await phone.client.logout(true);
    vault.set("restored", recoveryKey.privateKey);
    const later = await start("alice", vault);
    // The SDK takes over the secrets of keys that it knows of only; it may not yet have asked for its own.
    assert.equal(await later.crypto.userHasCrossSigningKeys(), true);
    await later.crypto.bootstrapCrossSigning({});
    await later.crypto.loadSessionBackupPrivateKeyFromSecretStorage();
    const restored = await later.crypto.restoreKeyBackup();
    assert.deepEqual([restored.total, restored.imported], [3, 3]);
    assert.equal(await reads(later, roomId, question), "Where to?");
    assert.equal(await reads(later, roomId, answer), "To the sea");
    const back = await later.say(roomId, "Back again");
    assert.equal(await reads(bob, roomId, back), "Back again");
    const devices = await bob.crypto.getUserDeviceInfo([alice.id], true);
    assert.deepEqual([...devices.get(alice.id).keys()], [later.session.device_id]);
});

/** Somebody with a device that encrypts. Keys of the secret storage are kept in the vault. */
async function start(word, vault) {
    const person = await Person.login(word, {
        cryptoCallbacks: {
            getSecretStorageKey: async ({ keys }) => {
                const keyId = Object.keys(keys)[0];
                const key = vault.get(keyId) ?? vault.get("restored");
                return key === undefined ? null : [keyId, key];
            },
            cacheSecretStorageKey: (keyId, _info, key) => vault.set(keyId, key),
        },
    });
    await person.client.initRustCrypto({ useIndexedDB: false });
    person.crypto = person.client.getCrypto();
    await person.sync({ initialSyncLimit: 50 });
    return person;
}

function authenticating(person) {
    const identifier = { type: "m.id.user", user: person.id };
    const password = JSON.parse(process.env.STORY).password;
    return (makeRequest) => makeRequest({ type: "m.login.password", identifier, password });
}

/** What somebody reads of an encrypted message, once the keys are there. */
async function reads(person, roomId, eventId) {
    const event = await person.sees(roomId, eventId);
    await until(`${person.id} can read ${eventId}`, () => event.isEncrypted() && event.getClearContent() !== null && !event.isDecryptionFailure());
    return event.getContent().body;
}

/** Waits until `check` becomes true. */
async function eventually(what, check) {
    let last;
    let asking = false;
    await until(what, () => {
        if (!asking && !last) {
            asking = true;
            check().then((found) => {
                last = found;
                asking = false;
            });
        }
        return last;
    });
}

/** Goes through a verification by emojis that one asked the other for. */
async function verify(one, other, request) {
    const received = await until("the request comes", () => {
        const [found] = other.crypto.getVerificationRequestsToDeviceInProgress(one.id);
        return found ?? other.crypto.findVerificationRequestDMInProgress(request.roomId ?? "", one.id);
    });
    await received.accept();
    await until("it is accepted", () => request.phase === VerificationPhase.Ready);
    const verifier = await request.startVerification("m.sas.v1");
    const otherVerifier = await until("the other side begins", () => received.verifier);
    const shown = [verifier, otherVerifier].map(emojis);
    const done = Promise.all([verifier.verify(), otherVerifier.verify()]);
    const [mine, theirs] = await Promise.all(shown);
    assert.equal(mine.sas.emoji.length, 7);
    assert.deepEqual(mine.sas.emoji, theirs.sas.emoji);
    await Promise.all([mine.confirm(), theirs.confirm()]);
    await done;
    await until("both are done", () =>
        [request, received].every(({ phase }) => phase === VerificationPhase.Done),
    );
}

function emojis(verifier) {
    const { promise, resolve } = Promise.withResolvers();
    verifier.once(VerifierEvent.ShowSas, resolve);
    return promise;
}

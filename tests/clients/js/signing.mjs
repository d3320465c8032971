// Cross-signing is set up right after logging in, time and again. While it is, the SDK uploads the keys of the device twice
// at once, before and after it signed them, and asks for them over and over.

import assert from "node:assert/strict";

import { Person, story, until } from "./lib.mjs";

const { password, people } = JSON.parse(process.env.STORY);
const AT_ONCE = 4;

story(async () => {
    const words = Object.keys(people);
    const next = async () => {
        for (let word; (word = words.shift()) !== undefined; ) await setUp(word);
    };
    await Promise.all(Array.from({ length: AT_ONCE }, next));
});

/** Sets cross-signing up for somebody, and checks what is known of it from then on. */
async function setUp(word) {
    // The answers to queries for keys, and how many uploads had been answered when they were sent.
    const [done, queries] = [{ upload: 0, device_signing: 0 }, []];
    const fetchFn = async (resource, init) => {
        const { pathname } = new URL(resource);
        const sent = { ...done };
        const response = await fetch(resource, init);
        if (pathname.endsWith("/keys/query")) queries.push({ sent, keys: await response.clone().json() });
        if (pathname.endsWith("/keys/upload")) done.upload += 1;
        if (pathname.endsWith("/keys/device_signing/upload")) done.device_signing += 1;
        return response;
    };
    const person = await Person.login(word, { fetchFn });
    await person.client.initRustCrypto({ useIndexedDB: false });
    await person.sync();
    const crypto = person.client.getCrypto();
    const identifier = { type: "m.id.user", user: person.id };
    await crypto.bootstrapCrossSigning({
        authUploadDeviceSigningKeys: (makeRequest) => makeRequest({ type: "m.login.password", identifier, password }),
    });
    assert.equal(await crypto.userHasCrossSigningKeys(person.id, true), true);

    let status;
    await until("the own device is signed by its owner", () => {
        crypto.getDeviceVerificationStatus(person.id, person.session.device_id).then((found) => (status = found));
        return status?.signedByOwner;
    });
    assert.equal(status.crossSigningVerified, true);

    const published = queries.filter(({ sent }) => sent.device_signing > 0);
    assert.notEqual(published.length, 0);
    for (const { sent, keys } of published) {
        for (const usage of ["master_keys", "self_signing_keys", "user_signing_keys"]) {
            assert.ok(keys[usage][person.id], `${usage} are there after they were uploaded`);
        }
        if (sent.upload < 2) continue;
        const [signer] = Object.keys(keys.self_signing_keys[person.id].keys);
        const device = keys.device_keys[person.id][person.session.device_id];
        assert.ok(device.signatures[person.id][signer], "the device is signed after its signature was uploaded");
    }
    person.client.stopClient();
}
